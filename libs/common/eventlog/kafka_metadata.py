"""Topic ids from Kafka: the client knows no metadata request that is new enough to carry them.

Metadata version 12 of the Kafka protocol (KIP-516), in the client's own terms.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from libs.common.eventlog.port import UnknownTopic

API_KEY = 3
VERSION = 12


class Uuid(AbstractType[bytes]):  # type: ignore[misc]
    """16 bytes, big endian."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:
        found: bytes = data.read(16)
        return found


class TopicsResponse(Response):  # type: ignore[misc]
    API_KEY = API_KEY
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(
            ("node_id", Int32), ("host", CompactString("utf-8")), ("port", Int32),
            ("rack", CompactString("utf-8")), ("tags", TaggedFields),
        )),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        ("topics", CompactArray(
            ("error_code", Int16), ("name", CompactString("utf-8")), ("topic_id", Uuid),
            ("is_internal", Boolean),
            ("partitions", CompactArray(
                ("error_code", Int16), ("partition", Int32), ("leader", Int32),
                ("leader_epoch", Int32), ("replicas", CompactArray(Int32)),
                ("isr", CompactArray(Int32)), ("offline", CompactArray(Int32)),
                ("tags", TaggedFields),
            )),
            ("authorized_operations", Int32), ("tags", TaggedFields),
        )),
        ("tags", TaggedFields),
    )  # fmt: skip


class TopicsRequestStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = API_KEY
    API_VERSION = VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TopicsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(
            ("topic_id", Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields),
        )),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )  # fmt: skip


class TopicsRequest(Request[TopicsRequestStruct]):  # type: ignore[misc]
    """What the cluster knows of topics, by name."""

    API_KEY = API_KEY

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[TopicsRequestStruct]) -> TopicsRequestStruct:
        topics: list[tuple[bytes, str, dict[int, bytes]]] = [
            (UUID(int=0).bytes, name, {}) for name in self._names
        ]
        return request_struct_class(topics, False, False, {})


def described(response: Any) -> dict[str, tuple[str, int]]:
    """By name, each topic's id and number of partitions; unknown topics are left out."""
    return {
        topic["name"]: (str(UUID(bytes=topic["topic_id"])), len(topic["partitions"]))
        for topic in response.to_object()["topics"]
        if topic["error_code"] == 0
    }


async def until_known(
    topic_id: Callable[[str], Awaitable[str]], topics: Sequence[str], pause: float = 0.05
) -> None:
    """A broker hears of a new topic a moment after the controller has made it."""
    for topic in topics:
        while True:
            try:
                await topic_id(topic)
                break
            except UnknownTopic:
                await asyncio.sleep(pause)
