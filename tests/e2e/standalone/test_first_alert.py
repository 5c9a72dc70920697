"""A new user's path is walked: README, `make run`, own tenant, own events, own rule, alert."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

from tests.e2e.standalone.headway import ROOT, SMALL
from tests.e2e.standalone.walking import BLOCK, Block, blocks, make_run, pasted, shown

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(700)]
PAGE = "docs/first-alert.md"
URL = "http://127.0.0.1:8080"
TEN_MINUTES = 600


def test_the_readme_leads_to_the_page() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = [text for language, text in BLOCK.findall(readme) if not language]
    assert any(text.startswith("make run ") for text in commands)
    assert f"]({PAGE})" in readme


@pytest.mark.parametrize(
    "demo",
    [
        pytest.param(SMALL, id="small demo"),
        pytest.param({}, id="whole demo", marks=pytest.mark.scale),
    ],
)
def test_the_page_leads_to_an_alert_within_ten_minutes(
    tmp_path: Path, demo: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    """`{}` is the demo as newcomers get it."""
    first, *rest = blocks((ROOT / PAGE).read_text("utf-8"))
    assert first == Block("make run\n")
    begun = perf_counter()
    with make_run(tmp_path, **demo) as printed:
        record_property("started after s", round(perf_counter() - begun))
        outputs = pasted(texts(rest, printed), tmp_path, TEN_MINUTES)
        took = perf_counter() - begun
    record_property("walked to its end after s", round(took))
    record_property("blocks of commands", len(outputs))
    hold(rest, outputs)
    assert took <= TEN_MINUTES


def texts(of: list[Block], printed: str) -> list[str]:
    """The commands as they stand; only the port is that of this run."""
    found = re.search(r"Headway runs at (http://\S+)", printed)
    assert found is not None
    assert [URL in block.commands for block in of] == [True, *[False] * (len(of) - 1)]
    return [block.commands.replace(URL, found[1]) for block in of]


def hold(of: list[Block], outputs: list[str]) -> None:
    """Each answer is the one on the page, and each alert has ended as the page says."""
    for block, output in zip(of, outputs, strict=True):
        assert block.answer is None or shown(block.answer, json.loads(output)), output
    with_answer = [json.loads(o) for b, o in zip(of, outputs, strict=True) if b.answer]
    (alert,) = with_answer[-1]["items"]
    after = next(output for output in outputs if alert["id"] in output and "cleared" in output)
    acknowledged, _, ended = map(json.loads, after.splitlines())
    assert acknowledged["state"] == "acknowledged"
    assert (ended["id"], ended["state"], ended["resolution"]) == (
        alert["id"],
        "resolved",
        "cleared",
    )
    *_, in_the_sandbox = map(json.loads, outputs[-1].splitlines())
    (late,) = in_the_sandbox["items"]
    assert (late["subject"]["id"], late["state"]) == ("D-1", "firing")
