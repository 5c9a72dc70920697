"""Of what a process is not ready, and of what it only warns, whatever its service says."""

from collections.abc import Mapping
from typing import Any

import pytest

from libs.common.process.checks import base_checks
from libs.common.runtime import Check, Service

NEVER: Any = None
NOTHING: Mapping[str, Check] = {}


async def fine() -> str | None:
    return None


def checked(
    working: bool, needs: Mapping[str, Check] = NOTHING, wants: Mapping[str, Check] = NOTHING
) -> Service:
    service = Service("planted", NEVER, readiness=needs, warnings=wants)
    return base_checks(service, NEVER, NEVER, working=working)


def test_a_worker_needs_the_database_and_the_log() -> None:
    service = checked(working=True)
    assert (set(service.readiness), set(service.warnings)) == ({"database", "log"}, set())


def test_an_api_needs_the_database_and_warns_of_the_log() -> None:
    service = checked(working=False)
    assert (set(service.readiness), set(service.warnings)) == ({"database"}, {"log"})


@pytest.mark.parametrize(("working", "warned"), [(True, set()), (False, {"database"})])
def test_an_api_that_needs_only_the_log_warns_of_the_database_and_its_workers_need_it(
    working: bool, warned: set[str]
) -> None:
    service = checked(working, {"log": fine}, {"database": fine})
    assert set(service.warnings) == warned
    assert set(service.readiness) == {"log", "database"} - warned
    assert service.readiness["log"] is fine
