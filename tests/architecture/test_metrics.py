"""Every metric is documented in `docs/metrics.md`, every documented one exists and is fed."""

import re
from pathlib import Path

import pytest

from libs.common import metrics
from tests.architecture.metrics_page import definitions, faults
from tests.architecture.tree import ROOT, python_files

SOURCES = [p for p in python_files() if not p.is_relative_to(ROOT / "tests")]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
CATALOGUE = Path(metrics.__file__)


def test_the_page_and_the_code_agree() -> None:
    assert faults(SOURCES, PAGE) == []


def test_metrics_are_defined_in_the_catalogue_only() -> None:
    places = {path.relative_to(ROOT) for path in SOURCES if list(definitions(path))}
    assert places == {CATALOGUE.relative_to(ROOT)}


def test_every_metric_is_fed() -> None:
    """A series that never moves is read as good news."""
    constants = re.findall(
        r"^([A-Z_]+) = (?:Counter|\w*Gauge|Histogram)\(", CATALOGUE.read_text(), re.M
    )
    code = "\n".join(path.read_text("utf-8") for path in SOURCES if path != CATALOGUE)
    assert [name for name in constants if not re.search(rf"\bmetrics\.{name}\b", code)] == []


ROW = "| `planted_total` | counter | `group` | records | Says something | Do something |\n"
SOURCE = (
    "from prometheus_client import Counter\n"
    'X = Counter("planted_total", "Says something.", ["group"])\n'
)


@pytest.mark.parametrize(
    ("source", "page", "expected"),
    [
        (SOURCE, ROW, []),
        (SOURCE, "", ["planted_total is not documented"]),
        (SOURCE.replace("import Counter", "import Counter as C").replace("= Counter", "= C"), "",
         ["planted_total is not documented"]),
        ('import prometheus_client\nprometheus_client.Gauge("planted_total", "")\n', "",
         ["planted_total is not documented"]),
        (SOURCE.replace("X = Counter", "class Own(Counter):\n    pass\nX = Own"), "",
         ["planted_total is not documented"]),
        ("", ROW, ["planted_total is documented and not there"]),
    ],
)  # fmt: skip
def test_a_planted_metric_is_caught(
    tmp_path: Path, source: str, page: str, expected: list[str]
) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(source)
    assert faults([planted], page) == expected


@pytest.mark.parametrize("wrong", [ROW.replace("counter", "gauge"), ROW.replace("`group`", "–")])
def test_a_row_that_tells_another_type_or_other_labels_is_caught(
    tmp_path: Path, wrong: str
) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(SOURCE)
    [fault] = faults([planted], wrong)
    assert fault.startswith("planted_total is Metric(")


def test_a_row_without_advice_is_refused() -> None:
    with pytest.raises(ValueError, match="planted_total leaves something out"):
        faults([], ROW.replace("Do something", ""))


def test_a_name_that_is_computed_is_refused(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(SOURCE.replace('"planted_total"', "'planted' + suffix"))
    with pytest.raises(ValueError, match="malformed"):
        faults([planted], ROW)
