"""What can go wrong on the way to Headway and back.

ClientError
├── Refused       it answered, and said no (problem+json)
└── Unreachable   it did not answer
"""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Base; `exit_code` is what the command line ends with."""

    exit_code = 1

    def as_json(self) -> dict[str, Any]:
        return {"error": {"detail": str(self)}}


class Refused(ClientError):
    """A 4xx or 5xx answer, in the words of its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, dict(problem)
        super().__init__(self._message())

    @property
    def code(self) -> str:
        return str(self.problem.get("code", ""))

    def as_json(self) -> dict[str, Any]:
        return {"error": {"status": self.status, **self.problem}}

    def _message(self) -> str:
        detail = self.problem.get("detail") or self.problem.get("title") or "no reason given"
        items = [_item(item) for item in self.problem.get("errors", ())]
        return "\n".join([f"{detail} ({self.status} {self.code})".replace(" )", ")"), *items])


def _item(item: Mapping[str, Any]) -> str:
    where = item.get("pointer") or item.get("parameter") or ""
    return f"  {where}: {item.get('detail', '')}" if where else f"  {item.get('detail', '')}"


class Unreachable(ClientError):
    """No answer: nothing listens there, or it took too long."""

    exit_code = 3

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no answer from {url}: {reason}. Is Headway running there (HEADWAY_URL)?")
