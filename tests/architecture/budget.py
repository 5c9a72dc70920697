"""The size budget: how long a function or a file may get."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FUNCTION, FILE, TEST_FILE = 50, 400, 600


@dataclass(frozen=True, slots=True)
class Excess:
    """Something longer than its limit; `name` is `path` or `path::function`."""

    name: str
    lines: int
    limit: int

    def __str__(self) -> str:
        return f"{self.name} has {self.lines} lines, the limit is {self.limit}"


def excesses(path: Path, root: Path) -> Iterator[Excess]:
    """What exceeds the budget in one Python file."""
    name = str(path.relative_to(root))
    source = path.read_text("utf-8")
    limit = TEST_FILE if name.startswith("tests/") else FILE
    if (lines := len(source.splitlines())) > limit:
        yield Excess(name, lines, limit)
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION:
                yield Excess(f"{name}::{node.name}", length, FUNCTION)
