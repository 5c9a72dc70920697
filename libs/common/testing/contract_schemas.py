"""JSON Schema files of every contract, generated from the models.

`python -m libs.common.testing.contract_schemas` rewrites the files and refuses a change that would
break readers or writers: those need a new version of the type.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from libs.common import contracts
from libs.common.contracts import alerts, catalogue, deals, topics

CONTRACTS = Path(contracts.__file__).parent
SCHEMAS = CONTRACTS / "schemas"
EXAMPLES = CONTRACTS / "examples"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = Mapping[str, Any]


def models() -> dict[str, tuple[str, type[BaseModel]]]:
    """Every type: the topic that carries it and its model."""
    named: dict[str, tuple[str, type[BaseModel]]] = {
        name: (topics.CRM_EVENTS, model) for name, model in catalogue.CATALOGUE.items()
    }
    published = (
        (topics.DEALS, deals.RECORDS),
        (topics.ALERT_EVENTS, alerts.EVENTS),
        (topics.ALERT_STATE, alerts.STATES),
    )
    return named | {name: (topic, model) for topic, of in published for name, model in of.items()}


def place(event_type: str, below: Path) -> Path:
    """`<below>/<topic without version>/v1/<type>.json`."""
    name, _, version = models()[event_type][0].rpartition(".")
    return below / name / version / f"{event_type}.json"


def schema_of(event_type: str) -> dict[str, Any]:
    """The schema of a type's `data`, as it stands on the wire."""
    topic, model = models()[event_type]
    mode = "validation" if topic == topics.CRM_EVENTS else "serialization"
    schema = model.model_json_schema(mode=mode)  # type: ignore[arg-type]
    return {"$schema": DIALECT, **schema, "title": event_type}


def render(schema: Schema) -> str:
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def breaks(old: Schema, new: Schema) -> Iterator[str]:
    """What of `new` would break those who hold to `old`.

    Optional fields and further values of an enumeration may be added, nothing may be taken away,
    change its type or become required.
    """
    before, after = _essence(old, old.get("$defs", {})), _essence(new, new.get("$defs", {}))
    yield from dict.fromkeys(_differences(before, after, ""))


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """Compare two essences; only what is an object on both sides can differ in part."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{path or '/'} was retyped"
        return
    for name in old.get("properties", {}).keys() - new.get("properties", {}).keys():
        yield f"{path}/{name} was removed"
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{path}/{name} is newly required"
    if set(old.get("enum", ())) - set(new.get("enum", ())):
        yield f"{path} takes fewer values"
    for name in old.get("properties", {}).keys() & new.get("properties", {}).keys():
        yield from _differences(old["properties"][name], new["properties"][name], f"{path}/{name}")
    rest = (old.keys() | new.keys()) - {"properties", "required", "enum"}
    for key in sorted(rest):
        if key not in old or key not in new:
            yield f"{path or '/'} was retyped"
        else:
            yield from _differences(old[key], new[key], path)


_PROSE = frozenset({"$defs", "$schema", "title", "description", "default", "examples"})


def _essence(schema: Any, defs: Schema) -> Any:
    """A schema without its prose, references resolved, alternatives by their type."""
    if isinstance(schema, list):
        return {json.dumps(_kind(s, defs)): _essence(s, defs) for s in schema}
    if not isinstance(schema, dict):
        return schema
    found = _resolved(schema, defs)
    own = {k: v for k, v in found.items() if k not in _PROSE and k != "properties"}
    essence = {k: v if k in ("enum", "required") else _essence(v, defs) for k, v in own.items()}
    if "properties" in found:
        fields = found["properties"].items()
        essence["properties"] = {name: _essence(field, defs) for name, field in fields}
    return essence


def _kind(schema: Any, defs: Schema) -> Any:
    return _resolved(schema, defs).get("type") if isinstance(schema, dict) else schema


def _resolved(schema: Any, defs: Schema) -> Any:
    if isinstance(schema, dict) and "$ref" in schema:
        return defs[schema["$ref"].rpartition("/")[2]]
    return schema


def stored(event_type: str) -> dict[str, Any] | None:
    file = place(event_type, SCHEMAS)
    return json.loads(file.read_text("utf-8")) if file.exists() else None


def main() -> int:
    """Write every schema, unless one would break its readers."""
    broken = [
        f"{name}: {fault}"
        for name in models()
        if (old := stored(name)) is not None
        for fault in breaks(old, schema_of(name))
    ]
    for line in broken:
        sys.stderr.write(f"{line}\n")
    if broken:
        return 1
    for name in models():
        file = place(name, SCHEMAS)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render(schema_of(name)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
