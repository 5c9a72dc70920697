"""Errors as clients see them: RFC 9457 problems with a stable `code`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorItem:
    """One fault of a request: where (a JSON pointer into the body, or a parameter) and why."""

    detail: str
    code: str
    pointer: str | None = None
    parameter: str | None = None

    def as_json(self) -> dict[str, str]:
        where = {"pointer": self.pointer, "parameter": self.parameter}
        held = {name: value for name, value in where.items() if value is not None}
        return held | {"detail": self.detail, "code": self.code}


class AppError(Exception):
    """An answer that is not the one asked for; `code` is a stable slug."""

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[ErrorItem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail, self.errors = detail, tuple(errors)
        self.code = code or type(self).code
        self.headers = dict(headers or {})

    def as_json(self, instance: str, trace_id: str) -> dict[str, Any]:
        """The body of the problem."""
        return {
            "type": f"urn:headway:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "trace_id": trace_id,
            "errors": [error.as_json() for error in self.errors],
        }


class BadRequest(AppError):
    status, code, title = 400, "bad_request", "Bad request"


class Unauthorized(AppError):
    status, code, title = 401, "unauthorized", "Unauthorized"

    def __init__(self, detail: str = "no valid credential was given") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="headway"'})


class Forbidden(AppError):
    status, code, title = 403, "forbidden", "Forbidden"


class NotFound(AppError):
    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(AppError):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class Conflict(AppError):
    status, code, title = 409, "conflict", "Conflict"


class PreconditionFailed(AppError):
    status, code, title = 412, "precondition_failed", "Precondition failed"


class TooLarge(AppError):
    status, code, title = 413, "too_large", "Too large"


class UnsupportedMedia(AppError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(AppError):
    status, code, title = 422, "invalid", "Invalid"


class NotSupportedYet(Invalid):
    code, title = "not_supported_yet", "Not supported yet"


class PreconditionRequired(AppError):
    status, code, title = 428, "precondition_required", "Precondition required"


class _Later(AppError):
    def __init__(self, detail: str, *, retry_after: int, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"Retry-After": str(retry_after)})


class TooMany(_Later):
    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(_Later):
    status, code, title = 503, "unavailable", "Unavailable"
