"""What each key of EspoCRM's changes loses or enters twice: the table of ADR 0018."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import pytest

from services.funnel.domain.model import Projection
from services.ingest.domain.crm import espocrm
from services.ingest.domain.crm.espocrm_naming import Sending, sending
from services.ingest.domain.crm.model import Delivery
from tests.unit.ingest.crm import proofs
from tests.unit.ingest.crm.proofs import NOW
from tests.unit.ingest.crm.test_espocrm import (
    DELETE,
    GONE,
    HOUR,
    MINUTE,
    RECORD,
    UPDATE,
    change,
    lived,
    moved,
    told,
)

Key = Literal["today", "timeless", "by record", "40 minutes"]
KEYS: dict[Key, Callable[[Sending], Sending]] = {
    "today": lambda sent: sent,
    "timeless": lambda sent: replace(sent, period=None),
    "by record": lambda sent: replace(sent, period=None, body=""),
    "40 minutes": lambda sent: replace(sent, period=(sent.period or 0) // 40),
}


class Story(NamedTuple):
    """`told` are minutes since the creation in stage a, and the moves of a list; `*` marks one
    that was taken before. `truth` is where the deal then stands in the CRM."""

    told: list[tuple[int, str]]
    truth: str


class Outcome(NamedTuple):
    """`lost` are changes that did not enter, `twice` repetitions that did. `stands` is the stage in
    the end, `later` that after the CRM has moved the deal to c and back to `truth`."""

    lost: int
    twice: int
    stands: str
    later: str


STORIES: dict[str, Story] = {
    "each told once": Story([(60, "b"), (120, "a"), (180, "b")], "b"),
    "the same within ten minutes": Story([(60, "b"), (65, "a"), (70, "b")], "b"),
    "a retry after ten minutes": Story([(60, "b"), (70, "*b")], "b"),
    "a retry behind the next change": Story([(60, "b"), (65, "a"), (70, "*b")], "a"),
    "a retry in a list with it": Story([(60, "b"), (70, "*b a")], "a"),
    "a replay after an hour": Story([(60, "b"), (90, "a"), (120, "*b")], "a"),
    "all of it": Story([(60, "b"), (120, "a"), (180, "b"), (190, "*b"), (240, "*a")], "b"),
}
MEASURED: dict[str, dict[Key, Outcome]] = {
    "each told once": {
        "today": Outcome(0, 0, "b", "b"),
        "timeless": Outcome(1, 0, "a", "c"),
        "by record": Outcome(1, 0, "a", "c"),
        "40 minutes": Outcome(0, 0, "b", "b"),
    },
    "the same within ten minutes": {
        "today": Outcome(0, 0, "b", "b"),
        "timeless": Outcome(1, 0, "a", "c"),
        "by record": Outcome(1, 0, "a", "c"),
        "40 minutes": Outcome(1, 0, "a", "b"),
    },
    "a retry after ten minutes": {
        "today": Outcome(0, 1, "b", "b"),
        "timeless": Outcome(0, 0, "b", "c"),
        "by record": Outcome(0, 0, "b", "c"),
        "40 minutes": Outcome(0, 0, "b", "b"),
    },
    "a retry behind the next change": {
        "today": Outcome(0, 1, "b", "a"),
        "timeless": Outcome(0, 0, "a", "c"),
        "by record": Outcome(0, 0, "a", "c"),
        "40 minutes": Outcome(0, 0, "a", "a"),
    },
    "a retry in a list with it": {
        "today": Outcome(0, 1, "a", "a"),
        "timeless": Outcome(0, 1, "a", "a"),
        "by record": Outcome(0, 0, "a", "a"),
        "40 minutes": Outcome(0, 1, "a", "a"),
    },
    "a replay after an hour": {
        "today": Outcome(0, 1, "b", "a"),
        "timeless": Outcome(0, 0, "a", "c"),
        "by record": Outcome(0, 0, "a", "c"),
        "40 minutes": Outcome(0, 1, "b", "a"),
    },
    "all of it": {
        "today": Outcome(0, 2, "a", "b"),
        "timeless": Outcome(1, 0, "a", "c"),
        "by record": Outcome(1, 0, "a", "c"),
        "40 minutes": Outcome(0, 1, "a", "b"),
    },
}


def keyed(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    def named(delivery: Delivery, event: str) -> Sending:
        return KEYS[key](sending(delivery, event))

    monkeypatch.setattr(espocrm, "sending", named)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", STORIES)
def test_what_a_key_loses_and_enters_twice(
    name: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed(monkeypatch, key)
    assert outcome(STORIES[name]) == MEASURED[name][key]


def test_only_todays_key_loses_no_change_and_mends_by_itself() -> None:
    spotless = [
        key
        for key in KEYS
        if all(
            by[key].lost == 0 and by[key].later == STORIES[name].truth
            for name, by in MEASURED.items()
        )
    ]
    assert spotless == ["today"]


@pytest.mark.parametrize("key", KEYS)
def test_a_second_deletion_is_lost_without_a_time(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed(monkeypatch, key)
    back = change(deleted=False, amount=7)
    verdicts, _ = lived(
        [(HOUR, DELETE, [GONE]), (2 * HOUR, UPDATE, [back]), (3 * HOUR, DELETE, [GONE])]
    )
    lost = key in ("timeless", "by record")
    assert verdicts == ["accepted", "accepted", "duplicate" if lost else "accepted"]


def outcome(story: Story) -> Outcome:
    verdicts, deal = enacted(story.told)
    once = [verdict for repeated, verdict in verdicts if not repeated]
    again = [verdict for repeated, verdict in verdicts if repeated]
    end = story.told[-1][0]
    _, after = enacted([*story.told, (end + 60, "c"), (end + 120, story.truth)])
    return Outcome(once.count("duplicate"), again.count("accepted"), stage(deal), stage(after))


def enacted(lists: list[tuple[int, str]]) -> tuple[list[tuple[bool, str]], Projection]:
    """Of each move whether it is a repetition and what became of it, and the deal."""
    sent = [(NOW, told("Opportunity.create", RECORD | {"stage": "a"}))]
    for minutes, moves in lists:
        at = NOW + minutes * MINUTE
        sent.append((at, told(UPDATE, *[moved(one.strip("*")) for one in moves.split()], at=at)))
    verdicts, deal = proofs.arrived(sent)
    created = len(sent[0][1].events)
    repeated = ["*" in one for _, moves in lists for one in moves.split()]
    return list(zip(repeated, verdicts[created:], strict=True)), deal


def stage(deal: Projection) -> str:
    assert deal.state is not None
    return str(deal.state.facts.stage_id)
