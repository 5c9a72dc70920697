"""Bodies of commands about connections; what they ask for that cannot be is told with pointers."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from libs.common.contracts.events import ATTRIBUTE, DealFields
from libs.common.contracts.values import Instant, clean_text
from libs.common.web.errors import ErrorItem
from services.ingest.domain.connections import EXPIRING
from services.ingest.domain.counters import HIGHEST
from services.ingest.domain.crm.model import Kind, SignatureVersion
from services.ingest.domain.crm.secrets import useless
from services.ingest.domain.ranges import Ranges
from services.ingest.entrypoints.schemas import Command

MAX_SECRETS = 2


def _printable(text: str) -> str:
    if not clean_text(text).isprintable():
        raise ValueError("must be printable")
    return text


def _http(url: str) -> str:
    try:
        parts = urlsplit(_printable(url))
        host = parts.hostname
    except ValueError:
        raise ValueError("must be a URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("must be the http(s) URL as the CRM calls it")
    return url


def _deal_fields(fields: dict[str, str]) -> dict[str, str]:
    for name in fields.values():
        named = name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)
        if not named and name not in DealFields.model_fields:
            raise ValueError(f"{name[:50]!r} is no field of a deal; own ones are attributes.<name>")
    return fields


Id = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(_printable)
]
Named = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(clean_text)
]
Ids = Annotated[dict[Id, Id], Field(max_length=1_000)]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=1_000)]


RECORDING = timedelta(days=14)


class PutConnection(Command):
    """How one account of a CRM delivers. `secrets` are never shown; left out on a replacement, the
    ones that are there stay. Of two the newer comes first; both prove deliveries, the older one
    until `old_secret_expires_at`. `counter` is a JSON pointer into bodies, to a number that the
    source raises by one with each delivery. Until `record_until`, at most 14 days ahead, deliveries
    are recorded, redacted. `channel_expires_at` is when the channel ends through which Zoho
    delivers. `weakest_signature` is what a delivery of HubSpot must have at least. Without it older
    versions are taken until `v3`, which signs a time, has proven a delivery at this `public_url`,
    and that one is asked for from then on; `signature_seen` of the connection tells."""

    kind: Kind
    secrets: Annotated[list[Secret], Field(min_length=1, max_length=MAX_SECRETS)] | None = None
    pipeline_map: Ids = Field(default_factory=dict)
    stage_map: Ids = Field(default_factory=dict)
    field_map: Annotated[Ids, AfterValidator(_deal_fields)] = Field(default_factory=dict)
    id_prefix: Annotated[
        str, StringConstraints(strict=True, max_length=50), AfterValidator(_printable)
    ] = ""
    public_url: (
        Annotated[str, StringConstraints(strict=True, max_length=2_000), AfterValidator(_http)]
        | None
    ) = None
    mapping_id: Id | None = None
    old_secret_expires_at: Instant | None = None
    record_until: Instant | None = None
    channel_expires_at: Instant | None = None
    weakest_signature: SignatureVersion | None = None
    counter: (
        Annotated[
            str,
            StringConstraints(strict=True, max_length=200, pattern=r"^(/([^~/]|~[01])*)+$"),
            AfterValidator(_printable),
        ]
        | None
    ) = None

    def definition(self) -> dict[str, Any]:
        """All but the secrets."""
        return self.model_dump(mode="json", exclude={"secrets"})

    def plain(self) -> tuple[str, ...] | None:
        if self.secrets is None:
            return None
        return tuple(secret.get_secret_value() for secret in self.secrets)


class Sample(Command):
    """A delivery as the CRM would send it. A text is taken byte for byte, which a signature needs;
    any other JSON is written out first."""

    body: Any
    headers: Annotated[dict[str, str], Field(max_length=100)] = Field(default_factory=dict)
    query: Annotated[dict[str, str], Field(max_length=100)] = Field(default_factory=dict)


class Record(Command):
    entity: Named
    record_id: Named


class RecordsRead(Command):
    """Records that were read from the CRM. One that was told of again after `read_at` stays
    listed; it should be the time at which the reading began."""

    records: Annotated[list[Record], Field(min_length=1, max_length=500)]
    read_at: Instant | None = None


class Numbers(Command):
    """From one number to another, both included."""

    from_: Annotated[int, Field(alias="from", strict=True, ge=0, le=HIGHEST)]
    to: Annotated[int, Field(strict=True, ge=0, le=HIGHEST)]


class NumbersFilled(Command):
    """Numbers of deliveries that are no longer missed, since what they told of was fetched."""

    missing: Annotated[list[Numbers], Field(min_length=1, max_length=1_000)]

    def ranges(self) -> Ranges:
        """Those that begin after their end are empty."""
        return [(one.from_, one.to) for one in self.missing if one.from_ <= one.to]


def setting_faults(wanted: PutConnection, now: datetime) -> Iterator[ErrorItem]:
    """A pointer into bodies that are no JSON; recording without an end in sight; the end of what
    has none."""
    if wanted.record_until is not None and wanted.record_until > now + RECORDING:
        yield ErrorItem("at most 14 days from now", "invalid_field", pointer="/record_until")
    if wanted.counter is not None and wanted.kind == "salesforce_outbound":
        yield ErrorItem("its messages are no JSON", "invalid_field", pointer="/counter")
    if wanted.channel_expires_at is not None and wanted.kind not in EXPIRING:
        detail = "its deliveries come through no channel that expires"
        yield ErrorItem(detail, "invalid_field", pointer="/channel_expires_at")
    if why := _unjudged(wanted):
        yield ErrorItem(why, "invalid_field", pointer="/weakest_signature")


def _unjudged(wanted: PutConnection) -> str | None:
    """Why no delivery could have the signature that is asked for; `None` where some can."""
    if wanted.weakest_signature is None:
        return None
    if wanted.kind != "hubspot":
        return "only HubSpot signs by several versions"
    judged = wanted.weakest_signature == "v1" or wanted.public_url is not None
    return None if judged else "versions 2 and 3 sign the URL: put public_url"


def secret_faults(kind: Kind, secrets: Sequence[str]) -> Iterator[ErrorItem]:
    """Secrets that could never prove a delivery."""
    for place, secret in enumerate(secrets):
        if why := useless(kind, secret):
            yield ErrorItem(why, "invalid_secret", pointer=f"/secrets/{place}")
