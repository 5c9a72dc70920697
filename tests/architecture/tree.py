"""The source tree as the architecture tests see it: what would be committed, and nothing else."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("ingest", "funnel", "alerts", "reporting")
COMPOSITION_ROOT = "standalone"


@cache
def tracked() -> tuple[Path, ...]:
    """Files under version control or about to be: ignored ones are nobody's business."""
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = listed.split("\0") if listed else _walk()
    return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())


def _git(*arguments: str) -> str:
    """git's answer, or nothing where the tree is an unpacked archive."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout


def _walk() -> Iterator[str]:
    for top in ("libs", "services", "tests", "docs", "deploy"):
        for path in (ROOT / top).rglob("*"):
            if "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT))


def python_files() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]
