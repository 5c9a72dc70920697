"""The shapes of alerts' answers, for the interface's description; tests hold answers to them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.common.contracts.alerts import Alert
from libs.common.web.pages import Page
from services.alerts.app.definition import RuleDefinition


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Checked(Shape):
    """A rule that could be saved, with its defaults."""

    valid: Literal[True]
    definition: RuleDefinition


class RuleVersion(RuleDefinition):
    """A version as it was written; `mode` may be `deleted`."""

    id: str
    version: int
    mode: Literal["live", "off", "shadow", "deleted"]  # type: ignore[assignment]
    effective_from: datetime
    published_at: datetime
    published_by: str


class RuleProblem(Shape):
    at: datetime
    subject_id: str
    detail: str


class RuleStatus(Shape):
    """`compile_error`: why a rule no longer compiles, as after an upgrade; it judges nothing then.

    `judging`: how much waits to be judged; `null` where nothing does.
    """

    compiled: bool
    compile_error: str | None
    open_alerts: int
    judging: dict[str, int] | None
    errors: int
    last_error: RuleProblem | None


class RuleCost(Shape):
    expressions: int
    characters: int


class Rule(RuleVersion):
    status: RuleStatus
    cost: RuleCost


class Rules(Page[RuleVersion]):
    """Rules by id."""


class RuleVersions(Page[RuleVersion]):
    """Versions, newest first."""


class ShownAlert(Alert):
    """An alert."""


class Alerts(Page[ShownAlert]):
    """Alerts, newest first."""


class SandboxClock(Shape):
    """`settled`: everything accepted so far and due by `now` has been dealt with."""

    now: datetime
    settled: bool
