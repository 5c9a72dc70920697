"""An entry of Close's event log."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from services.ingest.domain.crm.bodies import Puzzling
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` is the type of the object; `event` is as it came."""

    kind: str
    action: str
    event: Mapping[str, Any]
    draft: Draft

    @property
    def object_id(self) -> str:
        """Of the event: the id inside the data may differ from it."""
        if (given := ident(self.event.get("object_id"))) is None:
            raise Puzzling("missing_id", f"object_id names no {self.kind}")
        return given

    @property
    def data(self) -> Mapping[str, Any]:
        return _object(self.event.get("data"))

    @property
    def before(self) -> Mapping[str, Any]:
        """Old values, as Close claims them."""
        return _object(self.event.get("previous_data"))

    @property
    def changed(self) -> Set[str]:
        """Names of the fields that changed; all of them where an update names none."""
        listed = self.event.get("changed_fields")
        listed = listed if isinstance(listed, list) else []
        named = {name for name in listed if isinstance(name, str)}
        return named | self.before.keys() or self.data.keys()

    @property
    def lead_id(self) -> str | None:
        return ident(self.event.get("lead_id")) or ident(self.data.get("lead_id"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
