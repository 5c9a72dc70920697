"""Requests drawn by schemathesis from the OpenAPI documents, and answers held against them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

ANSWERS = [content_type_conformance, response_schema_conformance, response_headers_conformance]
REFUSALS = [*ANSWERS, status_code_conformance]
"""With `in_so_many_words`: any status counts where there is a `default`."""
SERVED = [*ANSWERS, not_a_server_error]


def operations(document: Mapping[str, Any]) -> Sequence[Any]:
    """Every operation of a document, as schemathesis has it."""
    loaded = schemathesis.openapi.from_dict(dict(document))
    return [cast(Any, found).ok() for found in loaded.get_all_operations()]


def in_so_many_words(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document without `default`: only statuses that it names are left."""
    paths = {
        path: {method: _named(operation) for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }
    return {**document, "paths": paths}


def _named(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    held = {name: told for name, told in operation["responses"].items() if name != "default"}
    return {**operation, "responses": held}


def drawn(operation: Any, count: int) -> Sequence[Any]:
    """Requests that fit the document, the same in each run."""
    found: list[Any] = []

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


def sendable(case: Any, credential: str) -> dict[str, Any]:
    """What httpx takes, by whoever has this credential."""
    told = case.as_transport_kwargs(base_url="http://all")
    headers = {**told["headers"], "Authorization": f"Bearer {credential}"}
    body = {"json": told["json"]} if "json" in told else {}
    if "data" in told:
        raw = isinstance(told["data"], str | bytes)
        body = {"content" if raw else "data": told["data"]}
    return {
        "method": told["method"], "url": told["url"], "params": told.get("params") or None,
        "headers": {name: str(value).encode() for name, value in headers.items()}, **body,
    }  # fmt: skip


def faults(case: Any, answer: httpx.Response, checks: Sequence[Any]) -> str:
    """What of an answer is not as documented; empty if all of it is."""
    try:
        case.validate_response(answer, checks=list(checks))
    except FailureGroup as group:
        return f"{case.operation.label}: {[str(fault) for fault in group.exceptions]}"
    return ""
