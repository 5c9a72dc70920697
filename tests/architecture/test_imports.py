"""The import contracts of `pyproject.toml`, and forbidden imports planted in a copy of the tree."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from libs.common.db import migrate
from tests.architecture.tree import COMPOSITION_ROOT, ROOT, SERVICES, python_files

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS: list[dict[str, Any]] = CONFIG["tool"]["importlinter"]["contracts"]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as `make arch` does, on the tree below `tree`."""
    program = Path(sys.executable).parent / "lint-imports"
    command = [str(program), "--no-cache", str(tree / "pyproject.toml")]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def broken(output: str) -> set[str]:
    lines = (line.partition(" BROKEN") for line in output.splitlines())
    return {name.strip() for name, verdict, _ in lines if verdict}


def test_the_tree_keeps_its_contracts() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_is_under_every_contract_of_services() -> None:
    folders = {p.name for p in (ROOT / "services").iterdir() if (p / "__init__.py").exists()}
    assert folders - {COMPOSITION_ROOT} == set(SERVICES) == set(migrate.SERVICES)
    named = {f"services.{name}" for name in SERVICES}
    by_name = {c["name"]: c for c in CONTRACTS}
    assert set(by_name["services are independent"]["modules"]) == named
    assert set(by_name["inside a service"]["containers"]) == named


def test_every_folder_of_code_is_a_package() -> None:
    folders = {p.parent for p in python_files() if p.is_relative_to(ROOT / "libs")}
    folders |= {p.parent for p in python_files() if p.is_relative_to(ROOT / "services")}
    bare = [f for f in folders if "migrations" not in f.parts and not (f / "__init__.py").exists()]
    assert bare == [], "import-linter does not see a folder without __init__.py"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, to plant into."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in ("libs", "services"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignore)
    assert "planted" not in lint(tree).stdout
    return tree


PLANTED = [
    ("services/funnel/domain/planted.py", "import sqlalchemy", "domain and contracts are pure"),
    ("services/alerts/domain/planted.py", "import asyncio", "domain and contracts are pure"),
    ("libs/common/contracts/planted.py", "import os", "domain and contracts are pure"),
    (
        "services/funnel/domain/planted.py",
        "from libs.common.db import database",
        "domain and contracts are pure",
    ),
    (
        "services/funnel/domain/planted.py",
        "from libs.common.clock import Clock",
        "domain and contracts take instants, not clocks",
    ),
    ("services/funnel/app/planted.py", "import fastapi", "web only at the edge"),
    ("services/funnel/adapters/planted.py", "import starlette", "web only at the edge"),
    ("services/ingest/adapters/planted.py", "import aiokafka", "broker behind its port"),
    ("services/funnel/app/planted.py", "import services.ingest", "services are independent"),
    ("services/funnel/app/planted.py", "import services.funnel.adapters", "inside a service"),
    ("services/funnel/domain/planted.py", "import services.funnel.app", "inside a service"),
    ("services/funnel/planted.py", "", "inside a service"),
    ("services/funnel/app/planted.py", "import services.standalone", "nothing imports the"),
    ("libs/common/db/planted.py", "import services.funnel", "services above libs"),
    ("libs/common/db/planted.py", "import libs.common.eventlog", "common is layered"),
    ("libs/common/eventlog/planted.py", "import libs.common.web", "common is layered"),
    ("libs/common/clock_planted.py", "", "common is layered"),
    ("libs/common/db/planted.py", "from libs.common.eventlog import port", "common is layered"),
]


@pytest.mark.parametrize(("file", "source", "contract"), PLANTED)
def test_a_planted_import_breaks_its_contract(
    copy: Path, file: str, source: str, contract: str
) -> None:
    planted = copy / file
    planted.write_text(f"{source}\n")
    try:
        output = lint(copy).stdout
        assert "planted" in output, "the report names the module"
        assert any(name.startswith(contract) for name in broken(output)), output
    finally:
        planted.unlink()
