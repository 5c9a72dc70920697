"""The table of segments as documents show it; as a command it writes it into them."""

import re
import sys
from pathlib import Path

from services.standalone.gateway.segments import SEGMENTS

_PLACE = re.compile(r"(?<=<!-- segments -->\n).*?(?=<!-- /segments -->)", re.DOTALL)


def table() -> str:
    """Markdown: a row for each service."""
    rows = [f"| {name} | {_listed(names)} |" for name, names in SEGMENTS.items()]
    return "\n".join(["| service | segments after `/v1` |", "| --- | --- |", *rows, ""])


def filled(document: str) -> str:
    """The document with the table between its two marks."""
    return _PLACE.sub(lambda _: table(), document)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(filled(file.read_text("utf-8")), "utf-8")
