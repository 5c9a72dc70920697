"""Folders of the spool under one root: each process holds one, and drains those that nobody does.

Folders are numbered, and the lowest free one is taken, so that a process that starts again finds
what it, or another like it, left behind.
"""

from itertools import chain, count
from pathlib import Path

from services.ingest.adapters.spool.files import SpoolFiles, SpoolLimits
from services.ingest.adapters.spool.folder import Folder, Taken


class SpoolFolders:
    """Implements `SpoolStores` below `root`."""

    def __init__(self, root: Path, limits: SpoolLimits) -> None:
        self._root, self._limits = root, limits

    def own(self) -> SpoolFiles:
        """A folder with frames first, else the lowest that is free."""
        numbers = chain(self._filled(), map(str, count()))
        return next(store for name in numbers if (store := self._claim(name)))

    def orphan(self) -> SpoolFiles | None:
        return next((store for name in self._filled() if (store := self._claim(name))), None)

    def _filled(self) -> list[str]:
        """Names of folders that hold frames, in a steady order."""
        found = {path.parent.name for path in self._root.glob("*/*.seg") if path.stat().st_size}
        return sorted(found)

    def _claim(self, name: str) -> SpoolFiles | None:
        try:
            return SpoolFiles(Folder(self._root / name), self._limits)
        except Taken:
            return None
