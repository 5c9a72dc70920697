"""The probe of the image: exit 0 for an answer of 200, 1 for everything else."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from libs.common.eventlog.kafka_broker import free_port
from tests.architecture.deploy.files import DEPLOY


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/livez": 200, "/moved": 302}.get(self.path, 503))
        self.send_header("Location", "/livez")
        self.end_headers()
        self.wfile.write(b"is starting")

    def log_message(self, format: str, *args: object) -> None:  # its name there
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def probe(path: str, port: int) -> tuple[int, str]:
    command = [sys.executable, str(DEPLOY / "probe.py"), path]
    # A proxy of the environment must not be asked about this container.
    given = {"HEADWAY_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr


def test_well(port: int) -> None:
    assert probe("/livez", port) == (0, "")


def test_not_ready_and_why(port: int) -> None:
    assert probe("/readyz", port) == (1, "is starting\n")


def test_a_redirect_is_no_answer(port: int) -> None:
    assert probe("/moved", port)[0] == 1


def test_nobody_there() -> None:
    code, told = probe("/livez", free_port())
    assert code == 1
    assert told.startswith("no answer: ")
