"""`python -m tests.bench`: measure, print tables, leave a JSON."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import structlog
import uvloop
from rich.console import Console

from tests.bench import report, run
from tests.bench.ingest import table as ingest
from tests.bench.ingest.rounds import Rounds
from tests.bench.latency import table
from tests.bench.latency.shapes import latency

PARTS = ("throughput", "latency", "ingest")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument("--events", type=int, default=30_000, help="records in the log")
    parser.add_argument("--few", type=int, help="records for the slow contestant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", choices=("kafka", "memory", "postgres"), default="kafka")
    parser.add_argument("--rate", type=float, default=300, help="events/s of the waits")
    parser.add_argument("--seconds", type=float, default=30, help="for each shape")
    parser.add_argument("--load", type=float, default=4, help="seconds of each of ingest's loads")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--cprofile", type=int, default=0, metavar="N", help="top N functions")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    console = Console(width=120)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a young broker has no leaders yet
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_measured(given, console))
    if given.only in (None, "ingest"):
        measured = Rounds(given.load, console.log).run(given.rounds)
        found["ingest"] = ingest.figures(measured, given.load)
    report.show(found, console)
    report.save(found, given.json, given.markdown)
    if faults := found.get("ingest", {}).get("faults"):
        sys.exit(f"what was measured is not what was promised: {faults}")


async def _measured(given: argparse.Namespace, console: Console) -> report.Figures:
    found: report.Figures = {}
    if given.only in (None, "throughput"):
        result = await run.bench(
            given.events, given.rounds, given.log, given.few, given.cprofile, console.log
        )
        found |= report.figures(result)
        for line in result.hot:
            console.print(line, markup=False, highlight=False)
    if given.only in (None, "latency"):
        measured = await latency(given.rate, given.seconds, console.log)
        found["latency"] = table.figures(measured, given.rate, given.seconds)
    return found


if __name__ == "__main__":
    main()
