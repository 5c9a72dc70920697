"""What both versions of Pipedrive's webhooks tell, in one shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.ingest.domain.crm.bodies import Puzzling
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident


@dataclass(frozen=True, slots=True)
class Notice:
    """`action` is `create`, `change`, `delete` or `merge`; `record` is the object afterwards, or as
    it last was; `before` has the old values of what is said to have changed. `whole`: it was
    compared with the whole record as it was, so that nothing else changed."""

    entity: str
    action: str
    object_id: str | None
    record: Any
    before: Mapping[str, Any]
    meta: Mapping[str, Any]
    draft: Draft
    whole: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        return flat(self.record)

    @property
    def id(self) -> str:
        given = self.object_id or ident(self.fields.get("id"))
        if given is None:
            raise Puzzling("missing_id", f"this {self.entity} has no id")
        return given


def flat(record: Any) -> dict[str, Any]:
    """A record with its custom fields beside the others, and plain values instead of objects."""
    if not isinstance(record, Mapping):
        return {}
    custom = record.get("custom_fields")
    every = {**record, **(custom if isinstance(custom, Mapping) else {})}
    return {name: _plain(value) for name, value in every.items() if name != "custom_fields"}


def _plain(value: Any) -> Any:
    """`{"value": 5, "name": …}` is 5, and `{"type": "enum", "id": 7}` is 7."""
    if not isinstance(value, Mapping):
        return value
    return value["value"] if "value" in value else value.get("id", value)
