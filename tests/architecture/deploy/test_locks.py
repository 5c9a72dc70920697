"""What images install: a part of what is tested, and enough for all that they run."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tests.architecture.deploy.context import copied, stage_tree
from tests.architecture.deploy.files import dockerfile
from tests.architecture.deploy.locks import (
    FULL,
    RUNTIME,
    TESTING,
    declared,
    imported,
    link,
    lock,
    packages_of,
    runtime_files,
)
from tests.architecture.tree import ROOT

_COMES_WITH = {"pydantic-core": "pydantic"}
"""Packages that another one pins to a version of its own."""
_IMPORT_ALL = f"""
import importlib, pkgutil
for top in ("libs", "services"):
    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        if not found.name.startswith("{TESTING}"):
            importlib.import_module(found.name)
print("all")
"""


@pytest.mark.parametrize("name", [FULL, RUNTIME])
def test_every_package_of_a_lock_has_hashes(name: str) -> None:
    assert len(lock(name)) > 20
    assert [one for one, pin in lock(name).items() if not (pin.version and pin.hashes)] == []


def test_images_install_a_part_of_what_is_tested_in_the_same_versions() -> None:
    full, runtime = lock(FULL), lock(RUNTIME)
    assert runtime.items() <= full.items()
    assert declared() <= runtime.keys()
    assert declared("dev") | declared("embedded") <= full.keys() - runtime.keys()


def test_the_image_installs_the_runtime_lock() -> None:
    assert dict(copied())[RUNTIME] in dockerfile().partition("pip install")[2]
    assert FULL not in dict(copied())


def test_every_import_is_of_a_package_that_the_project_declares() -> None:
    for path in runtime_files():
        for module in imported(path):
            owners = {_COMES_WITH.get(name, name) for name in packages_of(module)}
            assert owners <= declared(), f"{path.relative_to(ROOT)} imports {module}"
            assert not module.startswith(TESTING), f"{path.relative_to(ROOT)} runs without pytest"


def _installed(name: str) -> bool:
    """Markers of the lock leave some to other platforms."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _import_all(folder: Path, packages: set[str]) -> "subprocess.CompletedProcess[str]":
    """Every module of the image, beside these packages and none of the others."""
    site = folder / "site"
    site.mkdir()
    link({name for name in packages if _installed(name)}, site)
    return subprocess.run(
        [sys.executable, "-S", "-c", _IMPORT_ALL], cwd=stage_tree(folder / "image"),
        env={"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_all_that_images_run_imports_with_the_runtime_lock_alone(tmp_path: Path) -> None:
    done = _import_all(tmp_path, set(lock(RUNTIME)))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "all\n"


def test_a_package_that_the_lock_lacks_is_missed(tmp_path: Path) -> None:
    done = _import_all(tmp_path, set(lock(RUNTIME)) - {"structlog"})
    assert "No module named 'structlog'" in done.stderr
