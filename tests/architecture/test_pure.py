"""`domain` and `contracts` do no I/O and ask no clock, also with what Python brings itself."""

import pytest

from tests.architecture.pure import OF_ONE_FILE, impurities, pure_files
from tests.architecture.tree import ROOT, SERVICES


def test_what_is_pure_stays_pure() -> None:
    named = [(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in pure_files()]
    found = {file: impurities(source, file) for file, source in named}
    assert {file: names for file, names in found.items() if names} == {}


def test_every_domain_and_the_contracts_are_looked_at() -> None:
    seen = {path.relative_to(ROOT).parts[:3] for path in pure_files()}
    domains = {("services", name, "domain") for name in SERVICES}
    assert seen == domains | {("libs", "common", "contracts")}


@pytest.mark.parametrize(("file", "names"), OF_ONE_FILE.items())
def test_an_exception_is_needed_and_of_one_file(file: str, names: frozenset[str]) -> None:
    assert set(impurities((ROOT / file).read_text("utf-8"))) == names


PLANTED = [
    ("import socket", ["socket"]),
    ("import subprocess", ["subprocess"]),
    ("import urllib.request", ["urllib.request"]),
    ("from urllib import request", ["urllib"]),
    ("from urllib.request import urlopen", ["urllib.request"]),
    ("import http.client as web", ["http.client"]),
    ("import json, threading", ["threading"]),
    ("from time import time", ["time"]),
    ("def f() -> float:\n    import random\n    return random.random()", ["random"]),
    ("from pathlib import Path\nPath('a').write_text('b')", ["pathlib", "write_text"]),
    ("import mmap", ["mmap"]),
    ("import importlib", ["importlib"]),
    ("from datetime import datetime\nat = datetime.now()", ["now"]),
    ("import datetime as dt\nat = dt.datetime.utcnow(), dt.date.today()", ["utcnow", "today"]),
    ("from uuid import uuid4\nid = uuid4()", ["uuid4", "uuid4"]),
    ("with open('a') as file: file.read()", ["open"]),
    ("from datetime import datetime\nfrom mine import something", ["mine"]),
]


@pytest.mark.parametrize(("source", "found"), PLANTED)
def test_what_is_planted_is_found(source: str, found: list[str]) -> None:
    assert impurities(source) == found


@pytest.mark.parametrize(
    "source",
    ["from services.funnel.domain import fold", "import re\nre.compile('a')", "now = 1\nf(now)"],
)
def test_what_is_pure_is_let_through(source: str) -> None:
    assert impurities(source) == []
