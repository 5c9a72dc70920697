"""Dead letters as they are shown: only headers that are known to hold no secret show a value."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from services.ingest.domain.redriving import HOW, mended_by

_SHOWN = re.compile(
    r"ce_[a-z]{1,40}|content-type|traceparent|connection-kind|query-event|user-agent|webhook-id"
    r"|webhook-timestamp|close-sig-timestamp|x-hubspot-request-timestamp"
    r"|x-hubspot-signature-version|x-twenty-webhook-timestamp|x-twenty-webhook-nonce"
    r"|headway-dead-letter",
    re.ASCII,
)
_TOLD = "dlq."
"""Headers that the fields of the letter tell already."""


def shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    """One letter of a list."""
    told = dict(row)
    mends = mended_by(told["topic"], told["code"], names_event=told.pop("names_event"))
    return told | {"mended_by": mends, "how": HOW[mends]}


def shown_whole(row: Mapping[Any, Any], history: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    told = shown(row)
    names, contents = told.pop("header_names"), told.pop("header_values")
    body, encoding = _readable(told.pop("body"))
    key, _ = _readable(told.pop("record_key"))
    headers = [_header(*one) for one in zip(names, contents, strict=True) if _is_own(one[0])]
    return told | {
        "headers": headers,
        "body": body,
        "body_encoding": encoding,
        "record_key": key,
        "history": [dict(entry) for entry in history],
    }


def _is_own(name: str) -> bool:
    return not name.startswith(_TOLD)


def _header(name: str, content: bytes) -> dict[str, str | None]:
    value = bytes(content).decode(errors="replace") if _SHOWN.fullmatch(name) else None
    return {"name": name, "value": value}


def _readable(content: bytes | None) -> tuple[str | None, Literal["text", "base64"] | None]:
    if content is None:
        return None, None
    try:
        return bytes(content).decode(), "text"
    except UnicodeDecodeError:
        return b64encode(content).decode(), "base64"
