"""The table that `make test-fault` and `make test-full` leave behind."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SAMPLE = """
import pytest

def test_holds(record_property):
    record_property("kills", 40)

def test_breaks():
    assert False

def test_waits():
    pytest.skip("no broker")

@pytest.mark.parametrize("x", ["a|b"])
def test_pipe(x):
    pass
"""


def test_every_outcome_is_a_row_with_its_findings(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("from libs.common.testing.evidence import *")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(test_sample=SAMPLE)
    file = Path(pytester.path) / "deep" / "evidence.md"
    pytester.runpytest_inprocess(f"--evidence={file}", "-p", "no:cacheprovider")
    text = file.read_text()
    assert "1 failed, 2 passed, 1 skipped" in text
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if "test_sample" in line}
    assert "| passed |" in rows["| test_sample.py::test_holds"]
    assert rows["| test_sample.py::test_holds"].endswith("| kills: 40 |")
    assert "| failed |" in rows["| test_sample.py::test_breaks"]
    assert "| skipped |" in rows["| test_sample.py::test_waits"]
    assert "| test_sample.py::test_pipe[a\\|b]" in rows
