"""`python -m tests.bench`: measure, print a table, leave a JSON."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

import structlog
import uvloop
from rich.console import Console

from tests.bench import report, run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--events", type=int, default=30_000, help="records in the log")
    parser.add_argument("--few", type=int, help="records for the slow contestant")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", choices=("kafka", "memory", "postgres"), default="kafka")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    parser.add_argument("--cprofile", type=int, default=0, metavar="N", help="top N functions")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    console = Console(width=120)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a young broker has no leaders yet
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(
            run.bench(given.events, given.rounds, given.log, given.few, given.cprofile, console.log)
        )
    report.show(result, console)
    report.save(result, given.json, given.markdown)


if __name__ == "__main__":
    main()
