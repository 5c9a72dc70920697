"""Which process serves a data directory: found by what it runs, since pids are used again."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PROC = Path("/proc")


def running_pid(data: Path) -> int | None:
    """The postmaster of this data directory, told apart from a recycled pid."""
    pid = recorded_pid(data)
    if pid is None or pid <= 0:
        return None
    arguments = _arguments(pid)
    return pid if str(data) in arguments and arguments[0].endswith("postgres") else None


def recorded_pid(data: Path) -> int | None:
    """What `postmaster.pid` says, true or not."""
    try:
        return int((data / "postmaster.pid").read_text("utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def is_in_use(data: Path) -> bool:
    """Whether any process works inside the directory: backends outlive a killed postmaster."""
    if not _PROC.exists():
        return False
    return any(_works_in(process, data) for process in _PROC.iterdir() if process.name.isdigit())


def _works_in(process: Path, data: Path) -> bool:
    try:
        return Path(os.readlink(process / "cwd")) == data
    except OSError:  # gone, or not ours to look at
        return False


def _arguments(pid: int) -> Sequence[str]:
    """The command line of a process; a single empty text if there is none."""
    try:
        if _PROC.exists():
            line = (_PROC / str(pid) / "cmdline").read_bytes()
            return os.fsdecode(line).split("\0")
    except OSError:
        return ("",)
    done = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        check=False,
    )
    return os.fsdecode(done.stdout).split() or ("",)
