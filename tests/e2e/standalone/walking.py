"""A page's commands, pasted into a shell in the order in which they stand there."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.processes.stack import until
from tests.e2e.standalone.headway import ROOT, Headway

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "\x1e"
"""Printed between two blocks."""
REST = "…"
"""What a page leaves out of an answer."""
_LAST = re.compile(r"^\s*http://\S+/metrics$", re.MULTILINE)
"""The last line that `make run` prints before it serves on."""


@dataclass(frozen=True)
class Block:
    """Commands of a page, and the answer that it shows below them, if any."""

    commands: str
    answer: Any = None


def blocks(page: str) -> list[Block]:
    """Blocks without a language are commands, JSON is the answer to those before it."""
    found: list[Block] = []
    for language, text in BLOCK.findall(page):
        if language == "json":
            found[-1] = Block(found[-1].commands, json.loads(text))
        else:
            assert not language, language
            found.append(Block(text))
    return found


def pasted(texts: Sequence[str], folder: Path, seconds: float) -> list[str]:
    """What each text printed, pasted one after the other into one shell in that folder."""
    typed = f"printf '{MARK}'\n".join(texts)
    done = subprocess.run(
        ("bash", "--noprofile", "--norc"), cwd=folder, input=typed, env=environment({}),
        capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout.split(MARK)


def shown(page: Any, answer: Any) -> bool:
    """Whether an answer is the one that a page shows in short."""
    if isinstance(page, dict):
        named = page.keys() - {REST}
        return named <= answer.keys() and all(shown(page[name], answer[name]) for name in named)
    if isinstance(page, list):
        return len(page) == len(answer) and all(map(shown, page, answer))
    if isinstance(page, str):
        pattern = ".*".join(map(re.escape, page.split(REST)))
        return isinstance(answer, str) and re.fullmatch(pattern, answer) is not None
    return bool(page == answer)


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """A reader's: no settings of ours, and `make` is not called by another one."""
    ours = ("HEADWAY_", "MAKE", "MFLAGS")
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**own, "no_proxy": "127.0.0.1", **changes}


@contextmanager
def make_run(folder: Path, **settings: str) -> Iterator[str]:
    """`make run` on any free port, with its data in `.headway` of a folder; what it printed."""
    data, log = folder / ".headway", folder / "make-run.log"
    command = ("make", "run", f"ARGS=--port 0 --data-dir {data}")
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(settings), stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        until("started", lambda: process.poll() is not None or _LAST.search(log.read_text()), 280)
        assert process.poll() is None, log.read_text()
        yield log.read_text()
    finally:
        _end(process)
        Headway(data).postgres.stop()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """`make` and what it has started, as Ctrl-C ends them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            continue
        return
