"""A rule as its author writes it: strict in shape, honest about what is not built yet."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from libs.common.contracts.values import clean_text
from services.alerts.domain.durations import parse_duration
from services.alerts.domain.rule import CatchUp, Clock, MetBy

MAX_LABELS = 20
CLOCK_FIELDS = ("stage_entered_at", "created_at", "last_activity_at")


def _is_duration(text: str) -> str:
    parse_duration(text)
    return text


def _is_length(text: str) -> str:
    if parse_duration(text) < timedelta():
        raise ValueError("must not be negative")
    return text


def _is_catch_up(text: str) -> str:
    kind, _, age = text.partition(":")
    if kind == "skip_older_than" and age:
        return kind + ":" + _is_length(age)
    if text not in ("fire_if_still_true", "fire_late"):
        raise ValueError("must be fire_if_still_true, fire_late or skip_older_than:<duration>")
    return text


def _text(most: int) -> Any:
    return StringConstraints(strict=True, min_length=1, max_length=most)


Name = Annotated[str, _text(200), AfterValidator(clean_text)]
Source = Annotated[str, _text(2048), AfterValidator(clean_text)]
Template = Annotated[str, _text(1000), AfterValidator(clean_text)]
Duration = Annotated[str, _text(40), AfterValidator(_is_duration)]
Length = Annotated[str, _text(40), AfterValidator(_is_length)]
Kind = Literal["call", "email", "meeting", "visit", "demo", "task", "note", "quote", "other"]
Label = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ActivityDefinition(_Strict):
    """Which activities meet the clock; a field left out may be anything."""

    kinds: Annotated[list[Kind], Field(min_length=1, max_length=9)] | None = None
    direction: Literal["outbound", "inbound", "internal"] | None = None
    automated: Annotated[bool, Field(strict=True)] | None = None

    def met_by(self) -> MetBy:
        kinds = frozenset(self.kinds) if self.kinds else None
        return MetBy(kinds, self.direction, self.automated)


class MetByDefinition(_Strict):
    activity: ActivityDefinition


class ClockDefinition(_Strict):
    """When the rule is due: start field + offset + limit."""

    start: Name
    limit: Length
    offset: Duration = "PT0S"
    time: Literal["wall", "working"] = "wall"
    calendar_id: Name | None = None
    met_by: MetByDefinition | None = None
    pause_when: Source | None = None
    warn_at: list[float | str] | None = None

    def clock(self) -> Clock:
        """The clock of a definition that `unbuilt` has nothing against."""
        return Clock(
            self.start,  # type: ignore[arg-type]  # one of CLOCK_FIELDS: see `unbuilt`
            parse_duration(self.limit),
            parse_duration(self.offset),
            self.met_by.activity.met_by() if self.met_by else None,
        )


class RuleDefinition(_Strict):
    """The body of `PUT /v1/rules/{id}`; durations are ISO 8601, scope and labels are CEL."""

    name: Name
    scope: Source
    clock: ClockDefinition | None = None
    mode: Literal["live", "shadow", "off"] = "live"
    subject: Literal["deal", "lead", "account", "metric"] = "deal"
    condition: Source | None = None
    metric: Name | None = None
    every: Length | None = None
    for_: Annotated[Length, Field(alias="for")] = "PT0S"
    keep_firing_for: Length = "PT0S"
    catch_up: Annotated[str, _text(60), AfterValidator(_is_catch_up)] = "fire_if_still_true"
    on_change: Literal["carry", "keep", "restart"] = "carry"
    severity: Literal["info", "warning", "critical"] = "warning"
    labels: Annotated[dict[Label, Source], Field(max_length=MAX_LABELS)] = {}
    summary: Template | None = None
    playbook_id: Name | None = None

    def catching_up(self) -> CatchUp:
        """What becomes of violations that are seen late."""
        kind, _, age = self.catch_up.partition(":")
        return CatchUp(kind, parse_duration(age) if age else timedelta())  # type: ignore[arg-type]

    def stored(self) -> dict[str, Any]:
        """The definition as clients wrote it, defaults filled in."""
        return self.model_dump(mode="json", by_alias=True)


def unbuilt(rule: RuleDefinition) -> Iterator[tuple[str, str]]:
    """What a rule asks for that this release does not do, by JSON pointer."""
    asked = {
        "/mode": rule.mode == "shadow",
        "/subject": rule.subject != "deal",
        "/condition": rule.condition is not None,
        "/metric": rule.metric is not None,
        "/every": rule.every not in (None, "PT1H"),
        "/for": bool(parse_duration(rule.for_)),
        "/keep_firing_for": bool(parse_duration(rule.keep_firing_for)),
        "/on_change": rule.on_change != "carry",
        "/playbook_id": rule.playbook_id is not None,
    }
    yield from ((pointer, "is not built yet") for pointer, given in asked.items() if given)
    if rule.clock is None:
        yield "/clock", "a rule without a clock is not built yet"
    else:
        yield from _unbuilt_clock(rule.clock)


def _unbuilt_clock(clock: ClockDefinition) -> Iterator[tuple[str, str]]:
    if clock.start not in CLOCK_FIELDS:
        yield "/clock/start", f"only {', '.join(CLOCK_FIELDS)} are built yet"
    asked = {
        "/clock/time": clock.time != "wall",
        "/clock/calendar_id": clock.calendar_id is not None,
        "/clock/pause_when": clock.pause_when is not None,
        "/clock/warn_at": bool(clock.warn_at),
    }
    yield from ((pointer, "is not built yet") for pointer, given in asked.items() if given)
