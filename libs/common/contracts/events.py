"""The event catalogue: the `data` of every type that Headway understands.

Writers are strict (`parse(..., strict=True)` refuses unknown fields), readers tolerant. All models
are frozen; instants are UTC, money is `Decimal` plus an ISO 4217 code.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from libs.common.contracts.values import (
    Amount,
    Count,
    Currency,
    Day,
    Flag,
    Id,
    Instant,
    Json,
    Score,
    Text,
)

CustomerType = Literal["new", "existing"]
ActivityKind = Literal[
    "call", "email", "meeting", "visit", "demo", "task", "note", "quote", "other"
]


class EventData(BaseModel):
    """Base of all event data."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    event_type: ClassVar[str]


class DealFields(EventData):
    """The fields of a deal that an event may set."""

    pipeline_id: Id | None = None
    stage_id: Id | None = None
    name: Text | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    owner_id: Id | None = None
    team_id: Id | None = None
    account_id: Id | None = None
    region: Id | None = None
    product_line: Id | None = None
    customer_type: CustomerType | None = None
    industry: Id | None = None
    source: Id | None = None
    channel_partner_id: Id | None = None
    expected_close_date: Day | None = None
    renewal_date: Day | None = None


class DealEvent(EventData):
    deal_id: Id


class DealCreated(DealFields):
    event_type = "deal.created"
    deal_id: Id
    attributes: Json = Field(default_factory=dict)


class DealStageChanged(DealEvent):
    event_type = "deal.stage_changed"
    stage_id: Id
    pipeline_id: Id | None = None
    from_stage_id: Id | None = None
    actor_id: Id | None = None


def typed_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes in the types of `DealFields`; faults name the field (`/data/changes/<field>`)."""
    own = {k: v for k, v in changes.items() if not k.startswith(ATTRIBUTE)}
    faults = [_fault(name, _UNKNOWN) for name in own if name not in DealFields.model_fields]
    faults += [_fault(name, _NOT_CLEARED) for name in _KEPT if own.get(name, name) is None]
    faults += [_fault(name, _UNNAMED) for name in changes if name == ATTRIBUTE]
    if faults:
        raise ValidationError.from_exception_data("changes", faults)
    parsed = DealFields.model_validate(own)
    return {k: getattr(parsed, k) if k in own else v for k, v in changes.items()}


def _fault(name: str, reason: PydanticCustomError) -> InitErrorDetails:
    return InitErrorDetails(type=reason, loc=(name,), input=name)


def _changes_fit(changes: dict[str, Any]) -> dict[str, Any]:
    typed_changes(changes)
    return changes


ATTRIBUTE = "attributes."
_KEPT = ("stage_id", "pipeline_id")
_UNKNOWN = PydanticCustomError("unknown_field", "not a field of deal.created")
_NOT_CLEARED = PydanticCustomError("not_cleared", "cannot be cleared")
_UNNAMED = PydanticCustomError("unnamed_attribute", "names no attribute")
Changes = Annotated[Json, AfterValidator(_changes_fit)]


class DealUpdated(DealEvent):
    """`changes`: fields of `deal.created` or `attributes.x` to new values; null clears."""

    event_type = "deal.updated"
    changes: Changes
    previous: Json = Field(default_factory=dict)
    actor_id: Id | None = None

    def typed_changes(self) -> dict[str, Any]:
        """`changes` with values in the types of `DealFields`; attributes stay as they came."""
        return typed_changes(self.changes)


class DealWon(DealEvent):
    event_type = "deal.won"
    amount: Amount | None = None
    currency: Currency | None = None
    actor_id: Id | None = None


class DealLost(DealEvent):
    event_type = "deal.lost"
    reason_code: Id | None = None
    reason_text: Text | None = None
    competitor: Text | None = None
    actor_id: Id | None = None


class DealReopened(DealEvent):
    event_type = "deal.reopened"
    stage_id: Id | None = None
    actor_id: Id | None = None


class DealDeleted(DealEvent):
    event_type = "deal.deleted"
    actor_id: Id | None = None


class DealRestored(DealEvent):
    event_type = "deal.restored"
    actor_id: Id | None = None


class DealMerged(DealEvent):
    """`deal_id` survives; each of `merged_deal_ids` ends in it."""

    event_type = "deal.merged"
    merged_deal_ids: list[Id] = Field(min_length=1, max_length=100)
    actor_id: Id | None = None


class Participant(EventData):
    id: Id
    role: Id | None = None


class ActivityData(EventData):
    """An activity names the deal, the lead or the account that it belongs to."""

    activity_id: Id
    deal_id: Id | None = None
    lead_id: Id | None = None
    account_id: Id | None = None
    kind: ActivityKind = "other"
    direction: Literal["outbound", "inbound", "internal"] | None = None
    actor_id: Id | None = None
    participants: list[Participant] = Field(default_factory=list, max_length=200)
    scheduled_for: Instant | None = None
    automated: Flag = False

    @model_validator(mode="after")
    def _has_subject(self) -> Self:
        if not (self.deal_id or self.lead_id or self.account_id):
            raise ValueError("one of deal_id, lead_id, account_id is required")
        return self


class ActivityLogged(ActivityData):
    event_type = "activity.logged"


class ActivityScheduled(ActivityData):
    event_type = "activity.scheduled"


class ActivityCompleted(ActivityData):
    event_type = "activity.completed"


class ActivityCancelled(ActivityData):
    event_type = "activity.cancelled"


class LeadData(EventData):
    """All lead types share the optional fields; each type is told apart by its name."""

    lead_id: Id
    source: Id | None = None
    campaign: Id | None = None
    company_size: Count | None = None
    budget: Amount | None = None
    owner_id: Id | None = None
    criteria: Json = Field(default_factory=dict)
    reason_code: Id | None = None
    deal_id: Id | None = None


class LeadCreated(LeadData):
    event_type = "lead.created"


class LeadAssigned(LeadData):
    event_type = "lead.assigned"


class LeadAccepted(LeadData):
    event_type = "lead.accepted"


class LeadRejected(LeadData):
    event_type = "lead.rejected"


class LeadQualified(LeadData):
    event_type = "lead.qualified"


class LeadDisqualified(LeadData):
    event_type = "lead.disqualified"


class LeadConverted(LeadData):
    event_type = "lead.converted"


class AccountUpserted(EventData):
    event_type = "account.upserted"
    account_id: Id
    name: Text | None = None
    parent_id: Id | None = None
    tier: Id | None = None
    industry: Id | None = None
    region: Id | None = None
    customer_type: CustomerType | None = None
    owner_id: Id | None = None


class MemberData(EventData):
    """What users and teams have in common."""

    name: Text | None = None
    email: Text | None = None
    manager_id: Id | None = None
    role: Id | None = None
    timezone: Id | None = None
    calendar_id: Id | None = None
    active: Flag | None = None


class UserUpserted(MemberData):
    event_type = "user.upserted"
    user_id: Id
    team_id: Id | None = None


class TeamUpserted(MemberData):
    event_type = "team.upserted"
    team_id: Id


class UsageRecorded(EventData):
    event_type = "usage.recorded"
    account_id: Id
    step: Id
    count: Count = 1
    user_ref: Id | None = None


class SurveyAnswered(EventData):
    event_type = "survey.answered"
    account_id: Id
    kind: Literal["csat", "nps"]
    score: Score
    deal_id: Id | None = None


class CostRecorded(EventData):
    event_type = "cost.recorded"
    amount: Amount
    currency: Currency
    channel: Id | None = None
    campaign: Id | None = None
    region: Id | None = None


class OrderPlaced(EventData):
    event_type = "order.placed"
    account_id: Id
    order_id: Id
    amount: Amount
    currency: Currency
    deal_id: Id | None = None
