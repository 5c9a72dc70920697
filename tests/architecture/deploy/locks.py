"""The two locks, what `pyproject.toml` declares, and what the code imports."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

from tests.architecture.tree import ROOT, python_files

FULL, RUNTIME = "requirements.lock", "requirements.runtime.lock"
TESTING = "libs.common.testing"
"""The one part of the code that tests alone import."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock: its version, and the marker that says where it is needed."""

    version: str
    hashes: frozenset[str]


def lock(name: str) -> Mapping[str, Pin]:
    lines = (ROOT / name).read_text("utf-8").replace("\\\n", " ").splitlines()
    pinned = [line.split() for line in lines if line and not line.startswith("#")]
    return {words[0].partition("==")[0]: _pin(words) for words in pinned}


def _pin(words: list[str]) -> Pin:
    hashes = {word for word in words if word.startswith("--hash=")}
    return Pin(" ".join(w for w in words if w not in hashes).partition("==")[2], frozenset(hashes))


def declared(extra: str | None = None) -> set[str]:
    """The packages that the project names, for all or for one extra."""
    named = _PROJECT["optional-dependencies"][extra] if extra else _PROJECT["dependencies"]
    return {normal(_named(requirement)) for requirement in named}


def _named(requirement: str) -> str:
    found = _NAME.match(requirement)
    assert found is not None
    return found[0]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def runtime_files() -> list[Path]:
    """What an image runs."""
    testing = ROOT / TESTING.replace(".", "/")
    tops = (ROOT / "libs", ROOT / "services")
    files = [path for path in python_files() if any(path.is_relative_to(top) for top in tops)]
    return [path for path in files if not path.is_relative_to(testing)]


def packages_of(module: str) -> set[str]:
    """Who installs a module; nobody, if it is Python's own or ours."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("libs", "services"):
        return set()
    return {normal(name) for name in _installers().get(top, [f"unknown {top}"])}


@cache
def _installers() -> Mapping[str, list[str]]:
    return packages_distributions()


def link(packages: set[str], folder: Path) -> None:
    """Only these packages, as links to where they are installed."""
    for name in packages:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            place = folder / top
            if not place.exists():
                place.symlink_to(Path(str(found.locate_file(top))))
