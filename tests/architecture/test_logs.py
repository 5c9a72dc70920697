"""A37: what is logged is listed; a new field, or an error told by its text, is a decision."""

import importlib
from pathlib import Path

import pytest

from libs.common.logging.fields import FIXED, LISTED
from libs.common.logging.told import TELLING
from tests.architecture import logs
from tests.architecture.tree import ROOT, python_files

CODE = [p for p in python_files() if p.relative_to(ROOT).parts[0] in ("libs", "services")]


def test_every_field_of_a_log_line_is_listed_and_no_other() -> None:
    used = {name for path in CODE for call in logs.calls(path) for name in logs.fields(call)}
    assert used - LISTED == set(), "see libs/common/logging/fields.py before you add one"
    assert LISTED - FIXED - used == set(), "listed, but nobody writes it"


def test_every_line_can_be_told_from_the_source() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {fault}"
        for path in CODE
        for call in logs.calls(path)
        for fault in logs.faults(call)
    ]
    assert found == []


def test_every_logger_has_a_name_that_these_tests_know() -> None:
    found = [f"{path}: {name}" for path in CODE for name in logs.unknown_loggers(path)]
    assert found == []


@pytest.mark.parametrize("name", sorted(TELLING))
def test_every_error_that_is_told_by_its_text_exists(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert issubclass(found, BaseException)
    assert f"{found.__module__}.{found.__qualname__}" == name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('_log.warning("planted", customer_email=1)', {"customer_email"}),
        ('self._log.exception("planted", body=1)', {"body"}),
        ('structlog.get_logger().info("planted", owner=1)', {"owner"}),
        ('logging.getLogger().info("planted", owner=1)', {"owner"}),
        ('log("planted", sent=1)', {"sent"}),
        ("structlog.contextvars.bind_contextvars(user=1)", {"user"}),
        ('_log.error("planted", exc_info=error)', set()),
        ("labels.info(body=1)", set()),
    ],
)
def test_a_planted_field_is_seen(tmp_path: Path, source: str, expected: set[str]) -> None:
    (path := tmp_path / "a.py").write_text(f"import structlog\n{source}")
    assert {name for call in logs.calls(path) for name in logs.fields(call)} == expected


@pytest.mark.parametrize(
    "source",
    [
        'log.info("planted", **labels)',
        'log.info(f"planted {body}")',
        'log.info("planted %s", body)',
        'log.info("planted", error=repr(error))',
        'log.info("planted", error=str(error))',
        'log.info("planted", error=f"{error}")',
        'log.info("planted", error=repr(failure))',
        'log.info("planted", at=str(error))',
    ],
)
def test_a_planted_line_of_unknown_content_is_seen(tmp_path: Path, source: str) -> None:
    (path := tmp_path / "a.py").write_text(f"import structlog\n{source}")
    assert [fault for call in logs.calls(path) for fault in logs.faults(call)] != []


def test_a_planted_logger_of_another_name_is_seen(tmp_path: Path) -> None:
    (path := tmp_path / "a.py").write_text("diary = structlog.get_logger()")
    assert list(logs.unknown_loggers(path)) == ["diary"]
