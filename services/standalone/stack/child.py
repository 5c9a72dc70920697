"""One process of the stack, as its launcher sees it."""

import http.client
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.standalone.errors import StartError
from services.standalone.stack.pids import PidFile

_POLL = 0.05
_PAUSE = 2.0
"""Seconds before a process that ended by itself is started again."""
_TAIL = 2000
Ready = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run; `inherited` are file descriptors that it takes over."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    ready: Ready
    inherited: Sequence[int] = ()


class Child:
    """Runs a program in a session of its own: the terminal's Ctrl-C is the launcher's alone."""

    def __init__(self, program: Program, log: Path, pid_file: PidFile) -> None:
        self.program, self.log, self._pid_file = program, log, pid_file
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_at: float | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.program.arguments,
                env=self.program.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=self.program.inherited,
            )
        self._pid_file.write(self._process.pid)
        self._ended_at = None

    def await_ready(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Until it is ready or `stopped`; raises `StartError` with the end of its log."""
        deadline = time.monotonic() + seconds
        while not stopped() and not self.program.ready():
            if not self.runs:
                raise StartError(f"{self.name} ended at its start:\n{self.said()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} is not ready after {seconds:g} s:\n{self.said()}")
            time.sleep(_POLL)

    def revive(self) -> bool:
        """Start it again if it ended by itself, after a pause; whether it was started."""
        if self.runs or self._process is None:
            return False
        self._ended_at = self._ended_at or time.monotonic()
        if time.monotonic() - self._ended_at < _PAUSE:
            return False
        self.start()
        return True

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process is not None and self.runs:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float) -> bool:
        """Ask it to stop and wait; whether it did so in time and need not be killed."""
        self.terminate()
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        finally:
            self._process = None
            self._pid_file.clear()

    def said(self) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return self.log.read_text("utf-8", errors="replace")[-_TAIL:].strip()


def answers(port: int, path: str = "/readyz") -> bool:
    """Whether a process on this machine says 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
