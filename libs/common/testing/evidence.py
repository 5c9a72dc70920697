"""`pytest --evidence=FILE`: a table of what was tried and how it ended, as a file to keep."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    help_text = "write a table of the results to this Markdown file"
    parser.addoption("--evidence", metavar="FILE", help=help_text)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    target = config.getoption("--evidence")
    if target:
        reports = [
            report
            for outcome in ("passed", "failed", "error", "skipped")
            for report in terminalreporter.stats.get(outcome, ())
            if isinstance(report, pytest.TestReport)
        ]
        file = Path(target)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(table(reports)) + "\n", "utf-8")


def table(reports: Sequence[pytest.TestReport]) -> Iterator[str]:
    """One row per test; properties recorded by `record_property` are its findings."""
    outcomes = [report.outcome for report in reports]
    yield "# Results\n"
    yield ", ".join(f"{outcomes.count(o)} {o}" for o in sorted(set(outcomes))) or "nothing ran"
    yield "\n| test | result | seconds | findings |\n| --- | --- | ---: | --- |"
    for report in sorted(reports, key=lambda r: r.nodeid):
        findings = ", ".join(f"{name}: {value}" for name, value in report.user_properties)
        cells = (report.nodeid, report.outcome, f"{report.duration:.1f}", findings)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
