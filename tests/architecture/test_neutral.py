"""The tree speaks only of the project: nothing of a machine, a mirror or a secret."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, tracked

PATTERNS = {
    "a package mirror or index": re.compile(
        r"--(?:extra-)?index-url[ =]h|^\s*index-url\s*=|pip\.conf|trusted-host|"
        r"https?://[\w.-]*(?:artifactory|nexus|devpi|mirror|pypi-proxy)[\w.-]*",
        re.M | re.I,
    ),
    "a path of one machine": re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work)/[\w.]"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "an address of a private network": re.compile(
        r"\b(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}\b(?!/\d)"
    ),
}
ALLOWED = {
    "tests/architecture/test_neutral.py": "names the patterns themselves",
}
BINARY = {".png", ".ico", ".gz", ".zip", ".parquet", ".xlsx", ".woff2"}
LARGEST = 1_000_000
"""Bytes of a file: larger ones are data, and data is fetched, not committed."""


def findings(path: Path, text: str) -> list[str]:
    return [f"{path}: {what}" for what, pattern in PATTERNS.items() if pattern.search(text)]


def test_no_file_tells_of_a_machine_or_a_mirror() -> None:
    found: list[str] = []
    for path in tracked():
        name = path.relative_to(ROOT)
        if path.suffix not in BINARY and str(name) not in ALLOWED:
            found += findings(name, path.read_text("utf-8", errors="replace"))
    assert found == []


def test_no_file_is_large() -> None:
    assert [str(p) for p in tracked() if p.stat().st_size > LARGEST] == []


@pytest.mark.parametrize(
    "text",
    [
        "pip install --index-url https://registry.example/simple",
        "uv pip compile # https://nexus.example.com/repository",
        "cd /root/headway && make",
        "/home/somebody/headway",
        "-----BEGIN RSA PRIVATE KEY-----",
        "host = '10.1.2.3'",
    ],
)
def test_a_planted_trace_is_caught(text: str) -> None:
    assert len(findings(Path("planted"), text)) == 1


@pytest.mark.parametrize(
    "text", ["--no-emit-index-url", "https://pypi.org/x", "/work", "1.10.2", "10.0.0.0/8"]
)
def test_innocent_text_passes(text: str) -> None:
    assert findings(Path("innocent"), text) == []
