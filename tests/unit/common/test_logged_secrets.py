"""A37: credentials that end up in a text are not logged."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.unit.common.logged import logged

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1LTE3In0.c2lnbmF0dXJl_-"
SECRETS = ("c2lnbmF0dXJl", "eyJzdWIiOiJ1LTE3In0", "very-secret-part", "pass:word")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with logged() as stream:
        yield stream


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        TOKEN,
        TOKEN.rpartition(".")[0] + ".",
        "Bearer hw_AAAAAAAAAAAA_very-secret-part",
        "postgresql://pass:word@host/db",
    ],
)
def test_no_credential_is_logged(lines: io.StringIO, text: str) -> None:
    structlog.get_logger().warning("planted", error=text)
    logging.getLogger("library").warning("planted %s", text)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in told] == ["planted", "library_log"]
    assert not any(secret in lines.getvalue() for secret in SECRETS)


def test_other_texts_stay_as_they_are(lines: io.StringIO) -> None:
    structlog.get_logger().warning("planted", error="eyJ is how tokens begin: a.b.c, D-1.2.3")
    assert json.loads(lines.getvalue())["error"] == "eyJ is how tokens begin: a.b.c, D-1.2.3"
