"""An oracle shares no code with what it judges, nor with a module that does."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, python_files

REFUSED = ("services", "libs", "importlib")
"""Ours, and what could fetch it unseen."""


def shared(path: Path, root: Path, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """What a module imports of ours, itself or through other modules of the tests."""
    for name in _imported(path):
        if name.partition(".")[0] in REFUSED:
            yield f"{path.relative_to(root)} imports {name}"
        for inner in _files(name, root):
            if inner not in seen | {path}:
                yield from shared(inner, root, seen | {path})


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names if module in _PARENTS)


_PARENTS = {".".join(p.relative_to(ROOT).parts) for p in (ROOT / "tests").rglob("*") if p.is_dir()}


def _files(name: str, root: Path) -> Iterator[Path]:
    """The file of a module of the tests, if it is one."""
    if name.startswith("tests."):
        path = root.joinpath(*name.split(".")).with_suffix(".py")
        if path.is_file():
            yield path


def oracles() -> list[Path]:
    tests = (path for path in python_files() if path.is_relative_to(ROOT / "tests"))
    return [path for path in tests if path.name.startswith("oracle")]


def test_no_oracle_shares_code_with_what_it_judges() -> None:
    assert [fault for path in oracles() for fault in shared(path, ROOT)] == []
    assert ROOT / "tests" / "integration" / "reporting" / "oracle.py" in oracles()


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import pandas\n", None),
        ("import libs.common.ids\n", "libs.common.ids"),
        ("from services.funnel.domain import fold\n", "services.funnel.domain"),
        ("def late():\n    from libs.common import clock\n", "libs.common"),
        ("from importlib import import_module as load\nload('libs')\n", "importlib"),
        ("import importlib\nimportlib.import_module('services.funnel')\n", "importlib"),
    ],
)
def test_a_planted_import_is_caught(tmp_path: Path, source: str, fault: str | None) -> None:
    planted = tmp_path / "oracle_planted.py"
    planted.write_text(source)
    found = list(shared(planted, tmp_path))
    assert found == ([f"oracle_planted.py imports {fault}"] if fault else [])


@pytest.mark.parametrize(
    "way", ["from tests.integration import go_between", "import tests.integration.go_between"]
)
def test_an_import_through_another_module_of_the_tests_is_caught(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "tests" / "integration"
    folder.mkdir(parents=True)
    (folder / "go_between.py").write_text("import libs.common.ids\n")
    planted = folder / "oracle.py"
    planted.write_text(f"{way}\n")
    found = "tests/integration/go_between.py imports libs.common.ids"
    assert list(shared(planted, tmp_path)) == [found]
