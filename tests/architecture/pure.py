"""What a pure module may import and call: values in, values out, the same every time.

A list of what is allowed, since nobody can list all of what is not. Modules of our own are
import-linter's affair.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import ROOT, python_files

OURS = ("libs", "services")
VALUES = frozenset({
    "base64", "binascii", "bisect", "codecs", "collections", "collections.abc", "csv",
    "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq",
    "hmac", "itertools", "json", "math", "operator", "re", "statistics", "string", "struct",
    "tomllib", "types", "typing", "unicodedata", "urllib.parse", "uuid", "zoneinfo",
    "xml.etree.ElementTree", "defusedxml.ElementTree", "google_crc32c", "orjson", "pydantic",
    "pydantic_core", "cryptography.exceptions",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
})  # fmt: skip
OF_ONE_FILE = {
    "services/ingest/domain/frames.py": frozenset({"mmap"}),  # the type of what it is given
    "libs/common/contracts/topics.py": frozenset({"importlib.resources", "read_text"}),  # its table
}
_ACTS = frozenset({
    "now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes", "uuid1",
    "uuid4", "open", "print", "input", "eval", "exec", "__import__", "breakpoint",
})  # fmt: skip


def pure_files() -> Iterator[Path]:
    for path in python_files():
        parts = path.relative_to(ROOT).parts
        domain = parts[0] == "services" and "domain" in parts[2:3]
        if domain or parts[:3] == ("libs", "common", "contracts"):
            yield path


def impurities(source: str, file: str = "") -> list[str]:
    """What a module imports or calls that a pure one has no use for."""
    own = OF_ONE_FILE.get(file, frozenset())
    found = [name for node in ast.walk(ast.parse(source)) for name in _impure(node)]
    return [name for name in found if name not in own]


def _impure(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names if not _allowed(name.name))
        case ast.ImportFrom(module=str(module), names=names):
            yield from () if _allowed(module) else (module,)
            yield from (name.name for name in names if name.name in _ACTS)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _ACTS:
            yield name


def _allowed(module: str) -> bool:
    return module in VALUES or module.partition(".")[0] in OURS
