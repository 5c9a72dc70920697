"""Taking an alert on."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from libs.common.contracts.values import bounded
from services.alerts.domain.durations import parse_duration

LONGEST = timedelta(days=90)
DEFAULT = "P1D"


def _is_lease(text: str) -> str:
    if not timedelta() < parse_duration(text) <= LONGEST:
        raise ValueError("must be longer than nothing and at most 90 days")
    return text


Lease = Annotated[str, StringConstraints(strict=True, max_length=40), AfterValidator(_is_lease)]


class Acknowledge(BaseModel):
    """The body of an acknowledgement: for how long somebody takes the alert on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    lease: Lease = DEFAULT

    def until(self, now: datetime) -> datetime:
        """The end of the lease, by the tenant's clock."""
        return bounded(now, parse_duration(self.lease))
