"""Violations of a contract, in terms a sender can act on."""

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
