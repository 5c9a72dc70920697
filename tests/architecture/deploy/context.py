"""The files that a build of the image sees and copies."""

import shutil
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from tests.architecture.deploy.files import APP, dockerfile, stages
from tests.architecture.tree import ROOT


def visible(name: str, patterns: Iterable[str]) -> bool:
    """Whether a `.dockerignore` leaves a file in: the last pattern that matches it decides."""
    kept = True
    path = PurePosixPath(name)
    places = [str(part) for part in (path, *path.parents[:-1])]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if any(_matches(place, wanted) for place in places):
            kept = pattern.startswith("!")
    return kept


def _matches(place: str, pattern: str) -> bool:
    """`**/` at the start means any folder; elsewhere `*` ends at a slash."""
    if pattern.startswith("**/"):
        return fnmatchcase(place.rpartition("/")[2], pattern[3:])
    return place.count("/") == pattern.count("/") and fnmatchcase(place, pattern)


def patterns(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def copied() -> Iterator[tuple[str, str]]:
    """Source in the tree and destination in the image, of every COPY from the tree."""
    for stage in stages(dockerfile()):
        for step in stage:
            if step.instruction == "COPY" and "from" not in step.flags:
                *sources, destination = step.paths
                yield from ((source, destination) for source in sources)


def stage_tree(root: Path) -> Path:
    """The folder of the application as the image has it, below `root`."""
    ignored = patterns((ROOT / ".dockerignore").read_text("utf-8"))
    for source, destination in copied():
        if destination.startswith(APP):
            _copy(ROOT / source, root / destination.lstrip("/"), ignored)
    return root / APP.lstrip("/")


def _copy(source: Path, target: Path, ignored: list[str]) -> None:
    files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
    for file in files:
        if visible(file.relative_to(ROOT).as_posix(), ignored):
            place = target if file == source else target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
