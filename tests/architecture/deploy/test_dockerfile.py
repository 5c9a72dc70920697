"""`deploy/Dockerfile`: its rules, what it copies, and that the copy alone runs every service."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from libs.common.db.migrate import SCRIPTS
from services.standalone.stack.table import PARTS
from tests.architecture.deploy.context import patterns, stage_tree, visible
from tests.architecture.deploy.files import (
    APP,
    DATA,
    Step,
    dockerfile,
    image_environment,
    last,
    stages,
)
from tests.architecture.deploy.lint import dockerfile_faults
from tests.architecture.tree import ROOT, tracked

RUNTIME = ("libs", "services")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application's folder of the image; nothing of the repository is beside it."""
    return stage_tree(tmp_path_factory.mktemp("image"))


def test_it_does_nothing_that_none_should() -> None:
    assert dockerfile_faults(dockerfile()) == []


def test_the_image_is_what_compose_takes_it_for() -> None:
    assert last("USER").value == "10001:10001"
    assert last("WORKDIR").value == APP
    assert image_environment()["HEADWAY_DATA_DIR"] == DATA
    assert image_environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    assert last("EXPOSE").value == image_environment()["HEADWAY_PORT"]
    folders = [s.value for s in stages(dockerfile())[-1] if s.value.startswith("install")]
    assert folders == [f"install --directory --owner=10001 --group=10001 --mode=0700 {DATA}"]


def test_its_python_is_one_that_the_project_supports() -> None:
    minor = re.search(r"python:3\.(\d+)\.", dockerfile())
    least = re.search(r'requires-python = ">=3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert minor is not None
    assert least is not None
    assert int(minor[1]) >= int(least[1])
    assert len({stage[0].words[0] for stage in stages(dockerfile())}) == 1


def test_liveness_is_probed_so_that_a_lost_database_restarts_nothing() -> None:
    assert last("HEALTHCHECK").arguments == ["python", f"{APP}/probe.py", "/livez"]


def test_the_image_has_all_code_and_every_file_beside_it_and_nothing_else(image: Path) -> None:
    there = {p.relative_to(image).as_posix() for p in image.rglob("*") if p.is_file()}
    names = (path.relative_to(ROOT).as_posix() for path in tracked())
    assert there == {name for name in names if name.startswith(RUNTIME)} | {"probe.py"}
    for folder in SCRIPTS.values():
        assert (image / folder / "env.py").is_file() or list((image / folder).rglob("*.py"))


@pytest.mark.parametrize("service", sorted({part.service for part in PARTS}))
def test_the_entrypoint_runs_a_service_from_the_image_alone(image: Path, service: str) -> None:
    done = _run(image, service, ["--help"])
    assert done.returncode == 0, done.stderr
    for part in PARTS:
        if part.service == service:
            assert part.command in done.stdout
    assert not list(image.rglob("__pycache__"))


def test_the_entrypoint_becomes_the_process_and_passes_arguments_on(image: Path) -> None:
    """`exec`: the signal that stops the container reaches Python, not a shell."""
    done = _run(image, "ingest", ["an argument", "$HOME"])
    assert done.returncode == 2
    assert "'an argument'" in done.stderr or "an argument" in done.stderr
    assert last("ENTRYPOINT").arguments[2].startswith("exec ")


def _run(image: Path, service: str, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{name: value for name, value in image_environment().items() if "$" not in value},
        "SERVICE": service,
        "COLUMNS": "200",
    }
    return subprocess.run(
        [*last("ENTRYPOINT").arguments, *arguments], cwd=image, env=environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_code_is_found_in_the_image_and_not_in_the_repository(image: Path) -> None:
    """Else the test above shows nothing: an installed project must not stand in."""
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    code = "import libs, services; print(libs.__file__, services.__file__)"
    told = subprocess.check_output(
        [sys.executable, "-c", code], cwd=image, env=environment, text=True
    )
    assert all(Path(file).is_relative_to(image) for file in told.split())
    assert importlib.util.find_spec("libs") is not None


SOUND = """
FROM python:3.11.14-slim AS build
RUN pip install --require-hashes --only-binary=:all: -r lock
FROM build
COPY --from=build /a /a
USER 10001
HEALTHCHECK CMD ["true"]
ENTRYPOINT ["true"]
"""


@pytest.mark.parametrize(
    ("sound", "planted"),
    [
        ("python:3.11.14-slim", "python:latest"),
        ("python:3.11.14-slim", "python"),
        ("--require-hashes ", ""),
        ("--only-binary=:all: ", ""),
        ("RUN pip", "RUN apt-get install -y gcc && pip"),
        ("FROM build", "ADD https://example.org/x /x\nFROM build"),
        ("COPY --from=build /a /a", "COPY libs /a"),
        ("USER 10001", "USER root"),
        ("USER 10001", "USER 0:0"),
        ("USER 10001", ""),
        ("USER 10001", "USER 10001\nENV DB_PASSWORD=x"),
        ("USER 10001", "USER 10001\nRUN pip install --require-hashes --only-binary=:all: x"),
        ('ENTRYPOINT ["true"]', "ENTRYPOINT true"),
        ('HEALTHCHECK CMD ["true"]', ""),
    ],
)
def test_a_planted_fault_is_caught(sound: str, planted: str) -> None:
    assert dockerfile_faults(SOUND) == []
    assert len(dockerfile_faults(SOUND.replace(sound, planted))) == 1


def test_a_dockerfile_is_read_as_docker_reads_it() -> None:
    [[_, run, env]] = stages("FROM x\n# note\nRUN a && \\\n# note\n    b\nENV A=1 \\\n    B=2\n")
    assert run == Step("RUN", "a &&      b")
    assert env.words == ["A=1", "B=2"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("libs/common/clock.py", True),
        ("requirements.runtime.lock", True),
        ("deploy/probe.py", True),
        ("deploy/.env", False),
        (".git/config", False),
        (".headway/secret-key", False),
        ("tests/conftest.py", False),
        ("libs/common/__pycache__/clock.cpython-311.pyc", False),
    ],
)
def test_the_build_sees_what_it_copies_and_no_secret(name: str, kept: bool) -> None:
    assert visible(name, patterns((ROOT / ".dockerignore").read_text("utf-8"))) is kept
