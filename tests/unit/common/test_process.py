"""A service as a process: its commands, its secret key, what it says when it cannot start."""

import argparse
import stat
import threading
from pathlib import Path

import pytest

from libs.common.process import (
    ConfigurationError,
    Extra,
    main,
    make_secret_key,
    read_secret_key,
    secret_key_file,
)
from libs.common.runtime import Resources, Service
from libs.common.settings import CommonSettings


def no_service(_: Resources) -> Service:
    raise AssertionError("nothing is built before the process is configured")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWAY_DATA_DIR", str(tmp_path))
    for name in ("HEADWAY_DATABASE_URL", "HEADWAY_SECRET_KEY", "HEADWAY_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


def test_a_process_without_a_database_says_what_to_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ("api", "worker", "migrate"):
        assert main("ingest", no_service, [command]) == 2
        assert "HEADWAY_DATABASE_URL is not set" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "postgresql:/h"])
def test_another_kind_of_database_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("HEADWAY_DATABASE_URL", url)
    for command in ("api", "worker", "migrate"):
        assert main("ingest", no_service, [command]) == 2
        said = capsys.readouterr().err
        assert "HEADWAY_DATABASE_URL must be postgresql://" in said
        assert len(said.splitlines()) == 1


def test_a_mistyped_setting_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWAY_DATABSE_URL", "postgresql://somewhere")
    assert main("ingest", no_service, ["api"]) == 2
    assert "HEADWAY_DATABSE_URL" in capsys.readouterr().err


def test_a_setting_out_of_range_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWAY_PORT", "70000")
    assert main("ingest", no_service, ["api"]) == 2
    assert "port" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["consumer", "relay", "worker"])
def test_funnel_has_a_command_for_each_of_its_processes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("funnel", no_service, [command]) == 2
    assert "HEADWAY_DATABASE_URL" in capsys.readouterr().err, "the command itself is known"


@pytest.mark.parametrize(
    ("service", "unknown", "known"),
    [
        ("ingest", "relay", ["api", "consumer", "worker", "migrate"]),
        ("funnel", "consume", ["api", "consumer", "relay", "worker", "migrate"]),
        ("reporting", "consumer", ["api", "migrate"]),
    ],
)
def test_an_unknown_command_lists_the_known_ones(
    service: str, unknown: str, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(service, no_service, [unknown])
    assert stopped.value.code == 2
    assert [word.strip("',)") for word in capsys.readouterr().err.split() if word[0] == "'"][
        -len(known) :
    ] == known


def _seven(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seven", action="store_const", const=7, default=1)


async def _answer(_: CommonSettings, arguments: argparse.Namespace) -> int:
    return int(arguments.seven)


def test_a_command_of_one_service_has_its_own_options_and_exit_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    extras = {"count": Extra("Counts.", _seven, _answer)}
    assert main("funnel", no_service, ["count", "--seven"], extras) == 7
    assert main("funnel", no_service, ["count"], extras) == 1
    with pytest.raises(SystemExit):
        main("funnel", no_service, ["api", "--seven"], extras)
    assert "--seven" in capsys.readouterr().err


def test_the_secret_key_is_the_setting_or_the_file(tmp_path: Path) -> None:
    file = secret_key_file(tmp_path)
    with pytest.raises(ConfigurationError, match=str(file)):
        read_secret_key(CommonSettings(data_dir=tmp_path))
    make_secret_key(tmp_path)
    written = read_secret_key(CommonSettings(data_dir=tmp_path))
    assert written == file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    make_secret_key(tmp_path)
    assert read_secret_key(CommonSettings(data_dir=tmp_path)) == written, "made once"
    given = CommonSettings.model_validate({"data_dir": tmp_path, "secret_key": "k" * 32})
    assert read_secret_key(given) == b"k" * 32


def test_a_short_secret_key_is_refused(tmp_path: Path) -> None:
    short = CommonSettings.model_validate({"data_dir": tmp_path, "secret_key": "k" * 31})
    with pytest.raises(ConfigurationError, match="shorter than 32"):
        read_secret_key(short)


def test_starters_at_once_agree_on_one_secret_key(tmp_path: Path) -> None:
    threads = [threading.Thread(target=make_secret_key, args=(tmp_path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]
