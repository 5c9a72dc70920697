"""Metrics as the source defines them, and as `docs/metrics.md` describes them."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
_ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.M)
_LABEL = re.compile(r"`(\w+)`")


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """A series' family: `kind` in lower case, labels in order."""

    name: str
    kind: str
    labels: tuple[str, ...]


def faults(files: Iterable[Path], page: str) -> list[str]:
    """Where the metrics of Python files and a page about them differ; nothing if they agree."""
    defined = {m.name: m for path in files for m in definitions(path)}
    documented = {m.name: m for m in rows(page)}
    found = [f"{name} is not documented" for name in defined.keys() - documented.keys()]
    found += [f"{name} is documented and not there" for name in documented.keys() - defined.keys()]
    for name in defined.keys() & documented.keys():
        if defined[name] != documented[name]:
            found.append(f"{name} is {defined[name]}, documented as {documented[name]}")
    return sorted(found)


def definitions(path: Path) -> Iterator[Metric]:
    """Every metric that a file makes, whatever the constructor is called there."""
    tree = ast.parse(path.read_text("utf-8"))
    names = _constructors(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (kind := _kind(node.func, names)):
            yield _metric(node, kind)


def _constructors(tree: ast.Module) -> dict[str, str]:
    """Names that mean a constructor of prometheus_client here, or a class that follows one."""
    names = _imported(tree)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    own = {c.name: kind for c in classes for base in c.bases if (kind := _kind(base, names))}
    return names | own


def _imported(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        for alias in node.names
        if alias.name in KINDS
    }


def _kind(called: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(called, ast.Name):
        return names.get(called.id)
    whole = ast.unparse(called).removeprefix("prometheus_client.")
    return whole if isinstance(called, ast.Attribute) and whole in KINDS else None


def _metric(call: ast.Call, kind: str) -> Metric:
    """A name or a label that is not written out cannot be documented, so it is refused."""
    named = {word.arg: word.value for word in call.keywords}
    given = dict(enumerate(call.args))
    name = ast.literal_eval(given.get(0) or named["name"])
    labels = given.get(2) or named.get("labelnames")
    return Metric(name, kind.lower(), tuple(ast.literal_eval(labels)) if labels else ())


def rows(page: str) -> Iterator[Metric]:
    """The table rows of the page: name, type, labels, unit, what it says, when it is bad."""
    for name, rest in _ROW.findall(page):
        kind, labels, *texts = (cell.strip() for cell in rest.split("|"))
        if len(texts) != 3 or not all(texts):
            raise ValueError(f"the row of {name} leaves something out")
        yield Metric(name, kind, tuple(_LABEL.findall(labels)))
