"""Bodies of the funnel's commands: strict, unknown fields are refused."""

from collections import Counter
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from libs.common.contracts.values import clean_text
from libs.common.web.errors import Invalid
from libs.common.web.query import duration
from services.funnel.app.pipelines import Draft, StageSpec

MAX_STAGES = 200
Id = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200),
    AfterValidator(clean_text),
]
Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True),
    AfterValidator(clean_text),
]


def _ratio(value: Any) -> Any:
    """A share as written: through its text, so that 0.1 stays a tenth."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number from 0 to 1")
    return Decimal(str(value))


def _limit(value: str) -> str:
    try:
        duration(value)
    except Invalid:
        raise ValueError("must be a duration such as P30D or PT4H") from None
    return value


Ratio = Annotated[
    Decimal, BeforeValidator(_ratio), Field(ge=0, le=1, max_digits=9, decimal_places=6)
]
Limit = Annotated[
    str, StringConstraints(strict=True, max_length=40, pattern="^P"), AfterValidator(_limit)
]


class Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PutStage(Command):
    """A stage in its place; `limit` says how long a deal should stay at most."""

    id: Id
    name: Name | None = None
    stage_class: Literal["open", "won", "lost"] = Field(alias="class")
    target_conversion: Ratio | None = None
    limit: Limit | None = None

    def spec(self) -> StageSpec:
        name = self.name or self.id
        return StageSpec(self.id, name, self.stage_class, self.target_conversion, self.limit)


class PutPipeline(Command):
    """The stages in order; those that are left out stay as archived."""

    name: Name
    stages: Annotated[list[PutStage], Field(min_length=1, max_length=MAX_STAGES)]

    @model_validator(mode="after")
    def _coherent(self) -> "PutPipeline":
        counted = Counter(stage.id for stage in self.stages)
        if twice := sorted(id_ for id_, count in counted.items() if count > 1):
            raise ValueError(f"stages named twice: {', '.join(twice)}")
        if not any(stage.stage_class == "open" for stage in self.stages):
            raise ValueError("at least one stage must be open")
        return self

    def draft(self) -> Draft:
        return Draft(self.name, [stage.spec() for stage in self.stages])


class PostRebuild(Command):
    """`tenant` may be left out: a tenant's key means its own, an operator's all of them."""

    tenant: Id | None = None
    accept: Annotated[bool, Field(strict=True)] = False
