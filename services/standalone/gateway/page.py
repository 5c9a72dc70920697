"""The health page of an installation: every process, and where to go from here."""

from collections.abc import Mapping, Sequence

from libs.common.process.commands import COMMANDS
from services.standalone import page
from services.standalone.gateway.fleet import Fleet

Found = Mapping[str, Sequence[str]]


def render(fleet: Fleet) -> str:
    """The whole page."""
    faults = {p.name: p.faults for p in fleet.processes}
    warnings = {p.name: p.warned for p in fleet.processes if p.warnings}
    return page.document(
        f"<h2>Processes</h2>{page.states('process', faults)}"
        f"{_warnings(warnings)}<h2>Where to go</h2>{page.links([page.INTERFACE], COMMANDS)}"
        "<p>Operators ask <code>/v1/status</code> how far behind the log each reader is.</p>"
    )


def _warnings(found: Found) -> str:
    """What processes can work without, and miss."""
    return f"<h2>Warnings</h2>{page.states('process', found)}" if found else ""
