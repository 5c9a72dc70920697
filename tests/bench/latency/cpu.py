"""Which process took how much of a processor, read from `/proc`."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _CSTIME = 1, 11, 14
"""Places behind the name in `/proc/{pid}/stat`; the times stand side by side, those of ended
children last."""
Spent = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Process:
    """`seconds` of a processor, user and system, its ended and awaited children's included."""

    pid: int
    parent: int
    seconds: float

    @classmethod
    def read(cls, pid: int) -> Self:
        """Raises `OSError` if it is gone."""
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        ticks = sum(map(int, fields[_UTIME : _CSTIME + 1]))
        return cls(pid, int(fields[_PPID]), ticks / _TICK)


def spent(root: int) -> Spent:
    """Seconds of a process and all that descend from it, by what they are."""
    found: dict[str, float] = defaultdict(float)
    running = list(_running())
    for process in _descent(root, running):
        found[name(_command(process.pid))] += process.seconds
    return dict(found)


def between(before: Spent, after: Spent) -> Spent:
    """What was spent meanwhile, most of it first."""
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    return dict(sorted(used.items(), key=lambda one: -one[1]))


def name(command: Sequence[str]) -> str:
    """`funnel consumer` for `python -m services.funnel consumer`; the program's name for others."""
    for flag, module, *arguments in zip(command, command[1:], command[2:], strict=False):
        if flag == "-m" and module.startswith("services."):
            return f"{module.removeprefix('services.')} {arguments[0]}"
    program = Path(command[0].partition(":")[0]).name if command else "?"
    return {"java": "Kafka", "postgres": "PostgreSQL"}.get(program, program)


def _running() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                yield Process.read(int(entry.name))
            except OSError:
                continue


def _descent(root: int, running: Sequence[Process]) -> Iterator[Process]:
    """The root and its descendants."""
    children: dict[int, list[Process]] = defaultdict(list)
    for process in running:
        children[process.parent].append(process)
    waiting = [process for process in running if process.pid == root]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children[process.pid]


def _command(pid: int) -> Sequence[str]:
    try:
        text = (_PROC / str(pid) / "cmdline").read_text("utf-8", errors="replace")
    except OSError:
        return []
    return [part for part in text.split("\0") if part]
