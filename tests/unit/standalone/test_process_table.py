"""The table of worker commands against the workers that the services really have."""

import pytest

from libs.common.clock import SystemClock
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.process.commands import COMMANDS, WORKER, ConfigurationError, home, workers_of
from libs.common.runtime import Resources, Service
from libs.common.settings import CommonSettings
from services.standalone.composition import BUILDERS


def _services() -> dict[str, Service]:
    clock, settings = SystemClock(), CommonSettings.model_construct()
    nowhere = "postgresql://headway@127.0.0.1:1/headway"
    resources = Resources(clock, settings, nowhere, MemoryLog(clock), bytes(32), "table")
    return {service.name: service for service in (build(resources) for build in BUILDERS)}


SERVICES = _services()


def test_every_service_has_its_row() -> None:
    assert SERVICES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_worker_runs_in_one_command_and_every_command_runs_one(name: str) -> None:
    service, table = SERVICES[name], COMMANDS[name]
    known = {worker.name for worker in service.workers}
    assert {named for names in table.values() for named in names} <= known
    assert {home(service, worker) for worker in service.workers} == set(table)
    ran = [worker.name for command in table for worker in workers_of(service, command)]
    assert sorted(ran) == sorted(known), "each worker once"


def test_worker_runs_them_all_and_nothing_is_said_where_there_are_none() -> None:
    funnel = SERVICES["funnel"]
    assert list(workers_of(funnel, WORKER)) == list(funnel.workers)
    with pytest.raises(ConfigurationError, match="no workers"):
        workers_of(SERVICES["reporting"], WORKER)
