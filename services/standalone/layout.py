"""The data directory: who may read it, what lies where, and that one process owns it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class DataDirectoryInUse(Exception):
    """Another Headway owns the directory; the message names its pid."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one data directory."""

    root: Path

    @property
    def postgres(self) -> Path:
        return self.root / "pg"

    @property
    def imports(self) -> Path:
        return self.root / "imports"

    @property
    def operator_key(self) -> Path:
        return self.root / "operator-key"

    @property
    def demo_key(self) -> Path:
        return self.root / "demo-key"

    @property
    def demo_plan(self) -> Path:
        """What the demo's history is simulated from, so that a broken-off seeding goes on."""
        return self.root / "demo-plan.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def prepare(self) -> None:
        """Create the folders for their owner only."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.imports.mkdir(exist_ok=True, mode=0o700)

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the lock; the system drops it when the process ends, however it ends."""
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataDirectoryInUse(self._in_use()) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            file.truncate(0)

    def _in_use(self) -> str:
        pid = self.lock.read_text().strip() or "unknown"
        return (
            f"{self.root} is in use by another Headway (pid {pid}); "
            "stop it, or choose another --data-dir"
        )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_private(path: Path) -> str | None:
    """The text of a key file, or `None` when there is none."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
