"""The processes of the stack together: started, watched, restarted in turn, stopped in reverse."""

from collections.abc import Callable, Sequence
from pathlib import Path

from services.standalone.stack.child import Child, Program
from services.standalone.stack.pids import PidFile

Tell = Callable[[str], None]
Stopped = Callable[[], bool]
READY_SECONDS = 120.0
STOP_SECONDS = 40.0
"""Longer than `HEADWAY_STOP_SECONDS`: a process that keeps to that is not killed."""


class Crew:
    """Ranks of children; those of one rank start together. Logs and pid files have folders."""

    def __init__(self, logs: Path, pids: Path, tell: Tell, stopped: Stopped) -> None:
        self._logs, self._pids = logs, pids
        self._tell, self._stopped = tell, stopped
        self._ranks: list[Sequence[Child]] = []

    @property
    def children(self) -> Sequence[Child]:
        return [child for rank in self._ranks for child in rank]

    def start(self, programs: Sequence[Program]) -> None:
        """Start a rank, without waiting; nothing once stopped."""
        if self._stopped():
            return
        rank: list[Child] = []
        self._ranks.append(rank)
        for program in programs:
            pid_file = PidFile(self._pids / f"{program.name}.pid")
            child = Child(program, self._logs / f"{program.name}.log", pid_file)
            child.start()
            rank.append(child)

    def await_ready(self) -> None:
        """Until all are; raises `StartError` for one that ends or takes too long."""
        for child in self.children:
            child.await_ready(READY_SECONDS, self._stopped)

    def revive(self) -> None:
        """Start again what ended by itself."""
        for child in self.children:
            if child.revive():
                self._tell(f"{child.name} had ended and was started again; see {child.log}")

    def restart(self, names: Sequence[str]) -> None:
        """One after the other, the next when the one before is ready; ends early when stopped.

        Raises `StartError` when one does not come back; those after it run on as they are.
        """
        for child in [child for child in self.children if child.name in names]:
            if self._stopped():
                return
            self._stop([child])
            child.start()
            child.await_ready(READY_SECONDS, self._minding)
            self._tell(f"restarted {child.name}")

    def _minding(self) -> bool:
        """Whether stopped; meanwhile the others are looked after."""
        self.revive()
        return self._stopped()

    def stop(self) -> None:
        """The last rank first; those of one rank end together."""
        while self._ranks:
            self._stop(self._ranks[-1])
            self._ranks.pop()

    def _stop(self, rank: Sequence[Child]) -> None:
        for child in rank:
            child.terminate()
        for child in rank:
            if not child.stop(STOP_SECONDS):
                self._tell(f"{child.name} did not stop within {STOP_SECONDS:g} s and was killed")
