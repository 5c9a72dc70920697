"""Text to JSON: what nobody can read is a violation, never an accident."""

import json
from collections.abc import Callable
from typing import Any

from libs.common.contracts.errors import ContractViolation, Violation

MAX_DIGITS = 4_000
"""Of an integer; Python itself refuses to read 4,300."""
_BOM = "\ufeff"


class TooDeep(ContractViolation):
    """It nests deeper than Python reads."""

    def __init__(self) -> None:
        super().__init__(Violation("invalid_json", "", "nested too deep"))


def decode(content: bytes) -> Any:
    """JSON of a line or body. What JSON cannot carry but Python reads is left to the contracts."""
    return decode_by(_loaded, content)


def decode_by(read: Callable[[str], Any], content: bytes) -> Any:
    """What `read` makes of the text; its faults are violations."""
    try:
        return read(content.decode().removeprefix(_BOM))
    except UnicodeDecodeError:
        raise _unreadable("invalid_utf8", "not UTF-8") from None
    except RecursionError:
        raise TooDeep from None
    except json.JSONDecodeError as error:
        raise _unreadable("invalid_json", f"not JSON: {error}") from None


def _loaded(text: str) -> Any:
    """Decoded text. An integer too long for Python is as infinite as one can be: its own event's
    fault, never its neighbours'."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(text, parse_int=integer)


def integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float("inf")


def _unreadable(code: str, detail: str) -> ContractViolation:
    return ContractViolation(Violation(code, "", detail))
