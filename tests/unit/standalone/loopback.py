"""A scripted HTTP server on loopback: what the command line talks to in its tests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

Answer = tuple[int, Any]


@dataclass
class Loopback:
    """Answers by `METHOD /path`; a list is used up one answer a call, the last one stays."""

    url: str
    answers: dict[str, list[Answer]]
    seen: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, call: str) -> Answer:
        script = self.answers.get(call, [(404, {"code": "not_found", "detail": f"no {call}"})])
        return script.pop(0) if len(script) > 1 else script[0]


@contextmanager
def loopback(answers: dict[str, list[Answer]]) -> Iterator[Loopback]:
    server = _Server(("127.0.0.1", 0), _Handler)
    script = Loopback(f"http://127.0.0.1:{server.server_address[1]}", answers)
    server.script = script
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    script: Loopback


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        script = cast(_Server, self.server).script
        path, _, query = self.path.partition("?")
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        script.seen.append(
            {"call": f"{self.command} {path}", "query": query, "body": body, "headers": headers}
        )
        status, content = script.answer(f"{self.command} {path}")
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if status != 204:
            self.wfile.write(raw)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
