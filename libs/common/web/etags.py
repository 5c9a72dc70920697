"""Strong ETags and conditional requests (RFC 9110, section 13)."""

import hashlib
import re
from collections.abc import Mapping

from fastapi import Request, Response

from libs.common.web.errors import PreconditionFailed, PreconditionRequired

_TAGS = re.compile(r'(?:W/)?("[^"]*")')


def strong_etag(*parts: object) -> str:
    """The tag of everything that an answer depends on."""
    text = "\x1f".join(str(part) for part in parts)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def matches(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` names the tag; the weak comparison, as GET asks for."""
    given = request.headers.get("if-none-match", "").strip()
    return given == "*" or etag in _TAGS.findall(given)


def not_modified(etag: str, headers: Mapping[str, str] | None = None) -> Response:
    """304 with the headers that the full answer would have had."""
    return Response(status_code=304, headers={"ETag": etag, **(headers or {})})


def check_if_match(request: Request, current: str | None) -> None:
    """Refuse a replacement of something that the client has not seen.

    `current` is the tag of what is there, `None` if nothing is. 428 without `If-Match` on a
    replacement, 412 if the tag is another one.
    """
    given = request.headers.get("if-match")
    if given is None:
        if current is not None:
            raise PreconditionRequired("send If-Match with the ETag of the version you replace")
        return
    held = {given.strip(), *re.findall(r'"[^"]*"', given)}  # a strong comparison: W/ never matches
    if current is None or ("*" not in held and (current not in held or given.startswith("W/"))):
        raise PreconditionFailed("the version that If-Match names is not the current one")
