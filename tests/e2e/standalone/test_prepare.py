"""`headway prepare`: an installation of separate processes, before the first of them starts."""

import asyncio
import json
import stat
import subprocess
from pathlib import Path

import asyncpg
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.topics import TOPICS
from libs.common.db.urls import with_database
from libs.common.eventlog.factory import open_log
from libs.common.web.auth import OPERATOR
from tests.e2e.standalone.headway import COMMAND, ROOT, environment

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
SECRET = "s" * 40


def prepare(data: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    command = (*COMMAND, "prepare", "--data-dir", str(data), *arguments)
    return subprocess.run(
        command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def settings(database_url: str) -> dict[str, str]:
    return {"HEADWAY_DATABASE_URL": database_url, "HEADWAY_SECRET_KEY": SECRET}


def test_topics_and_one_operator_key_are_there_afterwards(
    data: Path, settings: dict[str, str]
) -> None:
    done = prepare(data, "--json", **settings)
    assert done.returncode == 0, done.stderr
    file = Path(json.loads(done.stdout)["operator_key_file"])
    key = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in done.stdout + done.stderr
    assert asyncio.run(_topics(settings["HEADWAY_DATABASE_URL"])) == set(TOPICS)
    again = prepare(data, **settings)
    assert again.returncode == 0, again.stderr
    assert file.read_text() == key
    assert asyncio.run(_operator_keys(settings["HEADWAY_DATABASE_URL"])) == 1


async def _topics(url: str) -> set[str]:
    """Those of the contract that the log has."""
    log = open_log("postgres+log://", url, SystemClock(), "test")
    await log.start()
    try:
        return {name for name in TOPICS if await log.ends(name)}
    finally:
        await log.stop()


async def _operator_keys(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT count(*) FROM ingest.api_keys WHERE $1 = ANY (scopes)"
        count: int = await connection.fetchval(query, OPERATOR)
        return count
    finally:
        await connection.close()


def test_without_a_secret_it_makes_one_that_processes_of_this_folder_share(
    data: Path, settings: dict[str, str]
) -> None:
    done = prepare(data, HEADWAY_DATABASE_URL=settings["HEADWAY_DATABASE_URL"])
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((data / "secret-key").stat().st_mode) == 0o600


def test_without_a_database_it_says_what_to_set_and_touches_nothing(data: Path) -> None:
    done = prepare(data)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("headway prepare: HEADWAY_DATABASE_URL is not set")
    assert not data.exists()


def test_a_database_that_does_not_answer_is_worth_another_try(data: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    done = prepare(data, HEADWAY_DATABASE_URL=url, HEADWAY_SECRET_KEY=SECRET)
    assert done.returncode == 1
    assert done.stderr.startswith("headway prepare: ")
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_there_has_to_be_made_first(
    data: Path, settings: dict[str, str]
) -> None:
    url = with_database(settings["HEADWAY_DATABASE_URL"], "nowhere")
    done = prepare(data, **{**settings, "HEADWAY_DATABASE_URL": url})
    assert done.returncode == 2
    assert 'database "nowhere" does not exist' in done.stderr
    assert len(done.stderr.splitlines()) == 1
