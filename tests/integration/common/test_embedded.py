"""The embedded PostgreSQL through what happens to it: kills, leftovers, strange places."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.common.db import embedded as wheel
from libs.common.db import unprivileged
from libs.common.db.embedded import BIN, EmbeddedPostgres, EmbeddedPostgresError
from libs.common.db.unprivileged import NoUnprivilegedUser, Runner

pytestmark = pytest.mark.postgres

FAST = {"fsync": "off", "shared_buffers": "16MB"}
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A short folder: pytest's own are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="hwe") as folder:
        yield Path(folder)


@pytest.fixture
def server(place: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(place / "pg", FAST)
    yield embedded
    embedded.stop()


def ask(server: EmbeddedPostgres, question: str) -> object:
    async def answer() -> object:
        connection = await asyncpg.connect(server.url())
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(answer())


def modes(folder: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.parents)}


def test_it_starts_keeps_data_over_a_restart_and_stops(server: EmbeddedPostgres) -> None:
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 42 AS n")
    server.stop()
    assert server.running_pid() is None
    server.stop()  # twice is once
    server.start()
    assert ask(server, "SELECT n FROM kept") == 42


def test_an_installation_without_it_says_what_to_do(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "_WHEEL", None)
    with pytest.raises(EmbeddedPostgresError, match="HEADWAY_DATABASE_URL"):
        EmbeddedPostgres(place / "pg").start()
    assert list(place.iterdir()) == []


def test_production_settings_are_durable(place: Path) -> None:
    server = EmbeddedPostgres(place / "pg")
    try:
        server.start()
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert ask(server, f"SHOW {name}") == "on"
        assert ask(server, "SHOW listen_addresses") == ""
    finally:
        server.stop()


def test_only_its_own_folder_changes_and_is_private(place: Path) -> None:
    before = modes(place)
    folder = place / "pg"
    folder.mkdir(mode=0o755)
    server = EmbeddedPostgres(folder, FAST)
    try:
        server.start()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert modes(place) == before
        assert stat.S_ISSOCK((server.sockets / ".s.PGSQL.5432").stat().st_mode)
    finally:
        server.stop()


PARENT = """
import sys, time
from pathlib import Path
from libs.common.db.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), {"fsync": "off"}).start()
print("started", flush=True)
time.sleep(600)
"""


def test_an_orphan_of_a_killed_parent_is_adopted(server: EmbeddedPostgres) -> None:
    command = [sys.executable, "-c", PARENT, str(server.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        parent.kill()
    orphan = server.running_pid()
    assert orphan is not None, "the postmaster outlives its parent"
    ask(server, "CREATE TABLE kept AS SELECT 1 AS n")
    server.start()
    assert server.running_pid() == orphan
    assert ask(server, "SELECT n FROM kept") == 1
    server.stop()
    assert server.running_pid() is None


def test_two_folders_are_two_servers(server: EmbeddedPostgres, place: Path) -> None:
    other = EmbeddedPostgres(place / "pg-2", FAST)
    try:
        server.start()
        assert other.running_pid() is None
        other.start()
        assert other.running_pid() != server.running_pid()
        server.stop()
        assert ask(other, "SELECT 1") == 1
    finally:
        other.stop()


def test_starting_a_running_server_adopts_it(server: EmbeddedPostgres) -> None:
    server.start()
    second = EmbeddedPostgres(server.folder, FAST)
    second.start()
    assert second.running_pid() == server.running_pid()


def test_a_killed_server_recovers_what_was_committed(server: EmbeddedPostgres) -> None:
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    pid = server.running_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server.start()
    assert server.running_pid() not in (None, pid)
    assert ask(server, "SELECT n FROM kept") == 7


def test_one_that_is_still_dying_when_it_is_started_again_is_replaced(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.start()
    pid = server.running_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    is_alive, looks = server._is_alive, iter([True])
    monkeypatch.setattr(server, "_is_alive", lambda: next(looks, False) or is_alive())
    server.start()
    assert server.running_pid() not in (None, pid)


@pytest.mark.parametrize("pid", [os.getpid(), 1, 2**22 - 3, -5])
def test_a_pid_that_is_somebody_elses_now_is_no_server(server: EmbeddedPostgres, pid: int) -> None:
    server.start()
    server.stop()
    (server.data / "postmaster.pid").write_text(f"{pid}\n{server.data}\n1\n5432\n")
    assert server.running_pid() is None
    server.start()
    assert ask(server, "SELECT 1") == 1


def test_a_start_that_died_half_way_through_initdb_is_made_anew(server: EmbeddedPostgres) -> None:
    draft = server.folder / "data.draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    server.start()
    assert ask(server, "SELECT 1") == 1
    assert not draft.exists()


def test_a_cluster_of_another_version_is_refused_untouched(server: EmbeddedPostgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("13\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 13"):
        server.start()
    assert list(server.data.iterdir()) == [server.data / "PG_VERSION"]


def test_a_folder_of_something_else_is_refused_untouched(server: EmbeddedPostgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "letters").write_text("dear")
    with pytest.raises(EmbeddedPostgresError, match="not a PostgreSQL data directory"):
        server.start()
    assert (server.data / "letters").read_text() == "dear"


def test_a_server_that_ends_at_once_says_why(place: Path) -> None:
    server = EmbeddedPostgres(place / "pg", FAST | {"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedPostgresError, match=r"ended at once[\s\S]*shared_buffers"):
        server.start()


def test_a_long_path_gets_a_short_private_socket_folder(place: Path) -> None:
    server = EmbeddedPostgres(place / ("long" * 20) / ("path" * 20), FAST)
    assert len(str(server.sockets)) < 90
    try:
        server.start()
        assert ask(server, "SELECT 1") == 1
        assert stat.S_IMODE(server.sockets.stat().st_mode) == 0o700
    finally:
        server.stop()
        server.sockets.rmdir()


def test_a_socket_folder_laid_out_by_a_stranger_is_refused(place: Path) -> None:
    server = EmbeddedPostgres(place / ("long" * 30), FAST)
    server.sockets.symlink_to(place)
    try:
        with pytest.raises(EmbeddedPostgresError, match="not a private folder"):
            server.start()
    finally:
        server.sockets.unlink()


def test_a_path_with_spaces_and_signs_works(place: Path) -> None:
    server = EmbeddedPostgres(place / "a b%&é?", FAST)
    try:
        server.start()
        assert ask(server, "SELECT current_database()") == "headway"
    finally:
        server.stop()


def test_two_starters_at_once_end_up_with_one_server(server: EmbeddedPostgres) -> None:
    program = PARENT.replace("time.sleep(600)", "")
    command = [sys.executable, "-c", program, str(server.folder)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [starter.communicate()[0] for starter in starters] == [b"started\n"] * 2
    assert ask(server, "SELECT 1") == 1


@ROOT_ONLY
def test_root_only_parents_are_no_obstacle(place: Path) -> None:
    place.chmod(0o700)
    server = EmbeddedPostgres(place / "pg", FAST)
    try:
        server.start()
        assert ask(server, "SELECT 1") == 1
        assert server.data.stat().st_uid == os.geteuid()
    finally:
        server.stop()


@ROOT_ONLY
def test_without_namespaces_root_runs_it_as_nobody(
    monkeypatch: pytest.MonkeyPatch, server: EmbeddedPostgres, place: Path
) -> None:
    if any(not stat.S_IMODE(p.stat().st_mode) & stat.S_IXOTH for p in BIN.parents):
        pytest.skip("the installation is root's alone, so nobody could run it")
    monkeypatch.setattr(unprivileged, "namespaces_work", lambda: False)
    place.chmod(0o755)
    server.start()
    assert server.data.stat().st_uid != 0
    assert ask(server, "SELECT 1") == 1
    server.stop()
    monkeypatch.undo()  # namespaces work again, but the folder keeps its owner
    server.start()
    assert ask(server, "SELECT 1") == 1


@ROOT_ONLY
def test_a_place_that_nobody_can_reach_is_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr(unprivileged, "namespaces_work", lambda: False)
    place.chmod(0o700)
    server = EmbeddedPostgres(place / "pg", FAST)
    with pytest.raises(EmbeddedPostgresError, match="HEADWAY_DATABASE_URL"):
        server.start()


def test_a_machine_without_nobody_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprivileged, "_USER", "no-such-user-here")
    with pytest.raises(NoUnprivilegedUser, match="as an ordinary user"):
        unprivileged._nobody()


def test_an_ordinary_user_needs_no_wrapping(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert unprivileged.runner_for(place, BIN / "postgres") == Runner()


def test_where_there_is_no_proc_ps_tells_the_server(
    monkeypatch: pytest.MonkeyPatch, server: EmbeddedPostgres, place: Path
) -> None:
    server.start()
    pid = server.running_pid()
    monkeypatch.setattr("libs.common.db.postmaster._PROC", place / "no-proc")
    try:
        subprocess.run(["ps", "-p", "1"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine has no ps")
    assert server.running_pid() == pid
    (server.data / "postmaster.pid").rename(server.folder / "aside")
    assert server.running_pid() is None
    (server.folder / "aside").rename(server.data / "postmaster.pid")
