"""What a rep does while a deal stays in a stage: calls, mails, meetings, some of them planned."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from services.standalone.simulator.draws import chance, poisson
from services.standalone.simulator.happening import Happening, instant
from services.standalone.simulator.hours import later

_KINDS = {"call": 30, "email": 30, "meeting": 14, "visit": 6, "demo": 6, "note": 8, "task": 6}
_PLANNED = {"meeting": 0.7, "visit": 0.8, "demo": 0.9, "task": 0.3, "call": 0.1}
_WITH_BUYERS = ("meeting", "visit", "demo")
_DAYS_EACH = 3.2


@dataclass(slots=True)
class Diary:
    """Numbers the activities of one deal and knows whom they concern."""

    rng: Random
    deal_id: str
    account_id: str
    count: int = field(default=0)

    def stay(self, entered: datetime, left: datetime, owner_id: str) -> Iterator[Happening]:
        """The activities of one stay; planned ones may lie ahead of its end."""
        days = (left - entered) / timedelta(days=1)
        for _ in range(min(14, poisson(self.rng, 0.6 + days / _DAYS_EACH))):
            at = later(self.rng, entered, self.rng.random() * days)
            if at < left:
                yield from self._one(at, owner_id)

    def done(self, at: datetime, owner_id: str) -> Happening:
        """One activity that has just taken place."""
        kind = self.rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        return self._event(at, "activity.logged", self._data(kind, owner_id))

    def _one(self, at: datetime, owner_id: str) -> Iterator[Happening]:
        kind = self.rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        data = self._data(kind, owner_id)
        if chance(self.rng, _PLANNED.get(kind, 0)):
            yield from self._planned(at, data)
        else:
            yield self._event(at, "activity.logged", data)

    def _planned(self, at: datetime, data: dict[str, Any]) -> Iterator[Happening]:
        due = later(self.rng, at, self.rng.uniform(1, 9))
        yield self._event(at, "activity.scheduled", data | {"scheduled_for": instant(due)})
        if chance(self.rng, 0.12):
            called_off = at + (due - at) * self.rng.uniform(0.2, 0.9)
            yield self._event(_whole(called_off), "activity.cancelled", data)
        else:
            yield self._event(due + timedelta(minutes=50), "activity.completed", data)

    def _data(self, kind: str, owner_id: str) -> dict[str, Any]:
        self.count += 1
        data: dict[str, Any] = {
            "activity_id": f"{self.deal_id}-a{self.count}",
            "deal_id": self.deal_id,
            "kind": kind,
            "actor_id": owner_id,
        }
        return data | self._manner(kind)

    def _manner(self, kind: str) -> dict[str, Any]:
        if kind in ("note", "task"):
            return {"direction": "internal"}
        buyers = [{"id": f"{self.account_id}-contact-{n}", "role": "buyer"} for n in self._who()]
        manner: dict[str, Any] = {"direction": self.rng.choice(("outbound", "outbound", "inbound"))}
        if kind in _WITH_BUYERS:
            manner["participants"] = buyers
        if kind == "email" and chance(self.rng, 0.2):
            manner |= {"automated": True, "direction": "outbound"}
        return manner

    def _who(self) -> list[int]:
        return sorted(self.rng.sample(range(1, 5), self.rng.randint(1, 3)))

    def _event(self, at: datetime, kind: str, data: dict[str, Any]) -> Happening:
        return Happening(at, kind, data, self.deal_id)


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)
