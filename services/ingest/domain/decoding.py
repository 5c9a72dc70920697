"""Text to JSON: what nobody can read is a violation, never an accident."""

import json
from collections import Counter
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


class KeyTwice(ContractViolation):
    """Readers differ in which of the two they believe, so neither is."""

    def __init__(self, key: str) -> None:
        super().__init__(Violation("duplicate_key", "", f"the key {key[:80]!a} stands twice"))


def decode(content: bytes) -> Any:
    """JSON of a line or body. What JSON cannot carry but Python reads is left to the contracts."""
    return decode_by(_loaded, content)


def decode_foreign(content: bytes) -> Any:
    """The same of a body whose sender cannot be asked to mend it: of two values of a key, the last
    one counts."""
    return decode_by(_loaded_foreign, content)


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


def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of all its pairs."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise KeyTwice(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return made


def integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float("inf")


_STRICT = json.JSONDecoder(object_pairs_hook=whole)
_STRICT_LONG = json.JSONDecoder(object_pairs_hook=whole, parse_int=integer)
_FOREIGN = json.JSONDecoder()
_FOREIGN_LONG = json.JSONDecoder(parse_int=integer)


def _loaded(text: str) -> Any:
    return _read(text, _STRICT, _STRICT_LONG)


def _loaded_foreign(text: str) -> Any:
    return _read(text, _FOREIGN, _FOREIGN_LONG)


def _read(text: str, quick: json.JSONDecoder, long: json.JSONDecoder) -> Any:
    """Decoded text. An integer too long for Python is as infinite as one can be: its own event's
    fault, never its neighbours'."""
    try:
        return quick.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return long.decode(text)


def _unreadable(code: str, detail: str) -> ContractViolation:
    return ContractViolation(Violation(code, "", detail))
