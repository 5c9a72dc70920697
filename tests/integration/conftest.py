"""Patience of tests: a busy machine is no database that is away."""

import pytest

from libs.common.db import patience
from libs.common.web import remembered

_PATIENT = 30.0


@pytest.fixture(autouse=True)
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients wait long, but where the test is about how long they wait."""
    if "frozen" not in request.module.__name__:
        monkeypatch.setattr(remembered, "LOOKUP_SECONDS", _PATIENT)
        monkeypatch.setattr(patience, "_CHECKOUT_SECONDS", _PATIENT)
        monkeypatch.setattr(patience, "_GRACE", _PATIENT)
