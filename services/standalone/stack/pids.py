"""Which processes an earlier launcher has left behind: found by pid files, told from namesakes."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class PidFile:
    """Holds a pid and when that process began, since pids are used again."""

    path: Path

    def write(self, pid: int) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{pid} {_began(pid)}")
        draft.replace(self.path)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)

    def running(self) -> int | None:
        """The pid, if that very process still runs."""
        try:
            pid, _, began = self.path.read_text().partition(" ")
            return int(pid) if began and began == _began(int(pid)) else None
        except (OSError, ValueError):
            return None


def stop_orphans(folder: Path, last: str, seconds: float) -> Sequence[str]:
    """Stop what still runs of the pid files in `folder`; the one named `last` after the others.

    Answers the names of what was stopped. After `seconds` a process is killed.
    """
    files = sorted(folder.glob("*.pid"))
    stopped: list[str] = []
    for group in ([f for f in files if f.stem != last], [f for f in files if f.stem == last]):
        found = [file for file in map(PidFile, group) if file.running() is not None]
        _signal(found, signal.SIGTERM)
        _await_end(found, seconds)
        _signal(found, signal.SIGKILL)
        _await_end(found, seconds)
        stopped += [file.path.stem for file in found]
    return stopped


def _signal(files: Sequence[PidFile], number: signal.Signals) -> None:
    for file in files:
        if (pid := file.running()) is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _await_end(files: Sequence[PidFile], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(file.running() is not None for file in files) and time.monotonic() < deadline:
        time.sleep(_POLL)


def _began(pid: int) -> str:
    """When a process began, in the words of the system; empty if it has ended."""
    if _PROC.exists():
        return _began_by_proc(pid)
    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _began_by_proc(pid: int) -> str:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
