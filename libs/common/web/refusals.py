"""Answers of the protocol itself, to what never became a request of the application."""

import orjson

from libs.common import metrics
from libs.common.web.errors import AppError, BadRequest, Unavailable


class RequestTimeout(AppError):
    status, code, title = 408, "request_timeout", "Request Timeout"


class HeadTooLarge(AppError):
    status, code, title = 431, "head_too_large", "Request Header Fields Too Large"


MALFORMED = BadRequest("not a request of HTTP/1.1", code="malformed_request")
OVERDUE = RequestTimeout("the request did not come in time")
EXCESS = HeadTooLarge("the request's line, headers, or what stands around its body are too large")
CROWDED = Unavailable("too many connections are open", code="too_many_connections", retry_after=5)

for _reason in (MALFORMED, OVERDUE, EXCESS, CROWDED):
    metrics.HTTP_REFUSED.labels(_reason.code)


def on_the_wire(error: AppError) -> bytes:
    """The whole answer; it is the connection's last."""
    body = orjson.dumps(error.as_json("", ""))
    headers = {
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "connection": "close",
        **error.headers,
    }
    lines = [f"HTTP/1.1 {error.status} {error.title}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
