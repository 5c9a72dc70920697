"""The size budget holds, and would notice if it did not."""

from pathlib import Path

import pytest

from tests.architecture import budget
from tests.architecture.tree import ROOT, python_files

ALLOWED: dict[str, str] = {}
"""Name of an excess (`path` or `path::function`) to the reason why it is as long as it is."""

FORBIDDEN_NAMES = {"utils.py", "util.py", "helpers.py", "misc.py"}


def test_functions_and_files_keep_to_the_budget() -> None:
    found = [e for path in python_files() for e in budget.excesses(path, ROOT)]
    assert [str(e) for e in found if e.name not in ALLOWED] == []
    assert set(ALLOWED) <= {e.name for e in found}, "an exception that is no longer needed"


def test_no_module_is_named_after_having_no_topic() -> None:
    assert [str(p) for p in python_files() if p.name in FORBIDDEN_NAMES] == []


def lines(count: int) -> str:
    return "".join(f"    x = {n}\n" for n in range(count))


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("libs/a.py", f"def long() -> None:\n{lines(50)}", ["libs/a.py::long"]),
        ("libs/a.py", f"def fits() -> None:\n{lines(49)}", []),
        ("libs/a.py", f"class A:\n  async def long(self):\n{lines(60)}", ["libs/a.py::long"]),
        ("libs/a.py", "x = 1\n" * 401, ["libs/a.py"]),
        ("tests/a.py", "x = 1\n" * 401, []),
        ("tests/a.py", "x = 1\n" * 601, ["tests/a.py"]),
    ],
)
def test_a_planted_excess_is_caught(
    tmp_path: Path, name: str, source: str, expected: list[str]
) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(source)
    assert [e.name for e in budget.excesses(path, tmp_path)] == expected
