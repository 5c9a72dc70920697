"""Violations of a contract, in terms a sender can act on."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault: `pointer` is an RFC 6901 pointer into the event, `code` a stable slug."""

    code: str
    pointer: str
    detail: str


class ContractViolation(Exception):
    """An event that does not fit its contract; `violations` is never empty."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__("; ".join(f"{v.pointer}: {v.detail}" for v in violations))
        self.violations = violations

    @property
    def code(self) -> str:
        return self.violations[0].code


def pointer(parts: Iterable[object]) -> str:
    """The RFC 6901 pointer of a path, printable whatever a sender put into it."""
    return "".join(f"/{_escape(str(part))}" for part in parts)


def _escape(part: str) -> str:
    safe = part.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return safe.replace("~", "~0").replace("/", "~1")
