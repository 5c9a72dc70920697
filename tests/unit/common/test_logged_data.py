"""A37: what senders and CRMs send is not logged: neither by a field nor by the text of an error."""

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import asyncpg
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy.exc import DBAPIError

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable
from libs.common.web.context import RequestContext
from tests.unit.common.logged import lines_of, logged

CANARY = "jane.canary@example.com"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with logged() as stream:
        yield stream


def refused() -> DBAPIError:
    """As SQLAlchemy tells of a statement that asyncpg refuses."""
    cause = asyncpg.UntranslatableCharacterError(f"cannot store {CANARY!r}")
    statement, values = "INSERT INTO letters VALUES (:body)", {"body": CANARY}
    error = DBAPIError.instance(statement, values, cause, Exception)
    assert isinstance(error, DBAPIError)
    error.__cause__ = cause
    return error


def quoting() -> ValueError:
    try:
        float(CANARY)
    except ValueError as error:
        return error
    raise AssertionError


def wrapping() -> DatabaseUnavailable:
    """A text of ours that has that of what it was made of."""
    error = DatabaseUnavailable(f"no answer: {refused()}")
    error.__cause__ = refused()
    return error


def hiding() -> DatabaseUnavailable:
    try:
        try:
            raise refused()
        except DBAPIError as error:
            raise DatabaseUnavailable(str(error)) from None
    except DatabaseUnavailable as error:
        return error


def grouped() -> ExceptionGroup[Exception]:
    return ExceptionGroup("unhandled", [refused(), quoting()])


ERRORS = [refused, quoting, wrapping, hiding, grouped]


@pytest.mark.parametrize("name", ["customer_email", "body", "owner", "sent"])
def test_a_field_that_is_not_listed_is_named_without_its_value(
    stream: io.StringIO, name: str
) -> None:
    structlog.get_logger().warning("planted", **{name: CANARY})
    assert lines_of(stream)[0][name] == "[not listed]"
    assert CANARY not in stream.getvalue()


def test_fields_that_are_listed_stay_as_they_are(stream: io.StringIO) -> None:
    structlog.get_logger().warning("planted", events=3, seconds=0.5, topic="crm.events")
    told = lines_of(stream)[0]
    assert (told["events"], told["seconds"], told["topic"]) == (3, 0.5, "crm.events")


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_told_by_type_and_place(
    stream: io.StringIO, error: Callable[[], Exception]
) -> None:
    log = structlog.get_logger()
    try:
        raise error()
    except Exception as raised:  # any may be planted
        log.warning("planted", error=raised)
        log.exception("planted")
        logging.getLogger("library").error("%s and %r", raised, raised, exc_info=raised)
        logging.getLogger("library").error("%(it)s", {"it": raised})
    told = lines_of(stream)
    assert CANARY not in stream.getvalue()
    name = type(error()).__name__
    assert all(name in line.get("message", "") + line.get("error", name) for line in told)
    assert all("test_logged_data.py" in line["exception"] for line in told[1:3])


def test_an_error_of_a_statement_is_told_with_its_sqlstate(stream: io.StringIO) -> None:
    structlog.get_logger().error("planted", error=wrapping())
    told = lines_of(stream)[0]["error"]
    assert told == "DatabaseUnavailable from DataError from UntranslatableCharacterError 22P05"


def test_texts_that_can_hold_nothing_sent_stay(stream: io.StringIO) -> None:
    try:
        raise DatabaseUnavailable("gave no connection") from ConnectionRefusedError(111, "refused")
    except DatabaseUnavailable as error:
        structlog.get_logger().warning("planted", error=error)
    told = lines_of(stream)[0]["error"]
    assert told.startswith("DatabaseUnavailable from ConnectionRefusedError at test_logged_data.py")
    assert told.endswith(": gave no connection")


def test_the_end_of_a_long_trace_is_kept(stream: io.StringIO) -> None:
    def deep(left: int) -> int:
        if not left:
            raise refused()
        return deeper(left)

    def deeper(left: int) -> int:
        return deep(left - 1) + len("what a line of a source that is long enough is like")

    try:
        deep(50)
    except DBAPIError:
        structlog.get_logger().exception("planted")
    assert lines_of(stream)[0]["exception"].rstrip().endswith("22P05")


async def test_an_unhandled_exception_of_a_route_is_told_without_what_was_sent(
    stream: io.StringIO,
) -> None:
    app, router = FastAPI(), APIRouter()

    @router.get("/things/{name}")
    async def thing(name: str) -> float:
        return float(name)

    app.include_router(router)
    app.add_middleware(RequestContext, clock=SystemClock())
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://headway") as client:
        answer = await client.get(f"/things/{CANARY}")
    assert answer.status_code == 500
    (told,) = [line for line in lines_of(stream) if line["event"] == "request_failed"]
    assert "ValueError" in told["exception"]
    assert told["trace_id"] == answer.json()["trace_id"]
    assert CANARY not in stream.getvalue()


async def test_a_task_that_nobody_awaited_is_told_without_its_exception(
    stream: io.StringIO,
) -> None:
    async def failing() -> None:
        raise refused()

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    context = {"message": "Task exception was never retrieved", "future": task}
    asyncio.get_running_loop().call_exception_handler({**context, "exception": refused()})
    task.exception()
    told = lines_of(stream)[0]
    assert told["message"] == "Task exception was never retrieved"
    assert "22P05" in told["exception"]
    assert CANARY not in stream.getvalue()


def test_what_ends_a_process_or_thread_is_a_line_too(stream: io.StringIO) -> None:
    error = refused()
    sys.excepthook(type(error), error, None)
    thread = threading.Thread(target=lambda: float(CANARY))
    thread.start()
    thread.join()
    assert [line["event"] for line in lines_of(stream)] == ["process_failed", "thread_failed"]
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("line", [f'{{"body": "{CANARY}"}}', f"{{{CANARY}}}"])
def test_a_library_s_record_never_passes_for_a_line_of_ours(stream: io.StringIO, line: str) -> None:
    logging.getLogger("library").warning(line)
    assert lines_of(stream)[0]["event"] == "library_log"


def test_records_of_the_server_stay_readable(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    told = lines_of(stream)[0]
    assert told["message"] == "Started server process [7]"
    assert (told["logger"], told["level"]) == ("uvicorn.error", "info")


async def test_pools_hide_what_their_statements_bring() -> None:
    database = Database("postgresql://u@127.0.0.1:1/x", "headway_ingest_worker")
    assert database._engine.sync_engine.hide_parameters
    await database.close()


def test_each_line_is_one_line(stream: io.StringIO) -> None:
    structlog.get_logger().exception("planted", exc_info=refused())
    assert len(stream.getvalue().splitlines()) == 1
    assert json.loads(stream.getvalue())["level"] == "error"
