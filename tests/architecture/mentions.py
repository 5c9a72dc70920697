"""Files that texts mention: paths from the root of the tree, and links between documents."""

import re
from collections.abc import Iterator
from pathlib import Path

PROSE = {".md", ".toml"}
"""Kinds of files that mention paths of code; elsewhere these may be made up, as in tests."""
_DOCUMENT = re.compile(r"(?<![\w./-])docs/[\w./-]*")
_ANY = re.compile(r"(?<![\w./-])(?:docs|tests|libs|services|deploy)/[\w./-]*")
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")


def dangling(path: Path, root: Path) -> Iterator[str]:
    """What one file mentions and the tree has not, as `file: mention`."""
    source = path.read_text("utf-8", errors="replace")
    pattern = _ANY if path.suffix in PROSE else _DOCUMENT
    for mention in sorted({found.rstrip("./-") for found in pattern.findall(source)}):
        if not (root / mention).exists():
            yield f"{path.relative_to(root)}: {mention}"
    links = _LINK.findall(source) if path.suffix == ".md" else ()
    for link in sorted(set(links)):
        if not (path.parent / link).exists():
            yield f"{path.relative_to(root)}: {link}"
