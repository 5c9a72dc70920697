"""`GET /v1/status` of the installation: the services' own answers in one, and every process."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from libs.common.web.errors import AppError
from libs.common.web.problems import response
from services.standalone.gateway.asked import Told, ask_all, refusal
from services.standalone.gateway.fleet import Fleet
from services.standalone.gateway.forward import Forwarder


class JoinedStatus:
    """Asks one API process of each service, with the credential of who asks."""

    def __init__(self, fleet: Fleet, forwarder: Forwarder) -> None:
        self._fleet, self._forwarder = fleet, forwarder

    async def answer(self, request: Request) -> Response:
        """What a service refuses (a credential, a parameter) is refused in its words."""
        answers = await ask_all(self._fleet, self._forwarder, request)
        if refused := refusal(answers):
            return refused
        silent = {name: error for name, error in answers.items() if isinstance(error, AppError)}
        if len(silent) == len(answers):
            return response(request, next(iter(silent.values())))
        told = [answer for answer in answers.values() if isinstance(answer, dict)]
        faults = {name: [error.detail] for name, error in silent.items()}
        return JSONResponse(joined(told, faults) | {"processes": shown(self._fleet)})


def joined(told: Sequence[Told], silent: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """One status of several; `silent` services have only their fault."""
    faults = (one["log_fault"] for one in told if one["log_fault"] is not None)
    ages = (one.get("unappended_seconds") for one in told)
    return {
        "services": {**_merged(told, "services"), **silent},
        "migrations": _merged(told, "migrations"),
        "lag": [lag for one in told for lag in one["lag"]],
        "log_fault": next(faults, None),
        "unappended_seconds": next((age for age in ages if age is not None), None),
    }


def shown(fleet: Fleet) -> dict[str, Any]:
    """Every process: an empty list of faults says that it is ready."""
    return {
        process.name: {"faults": process.faults, "warnings": process.warned}
        for process in fleet.processes
    }


def _merged(told: Sequence[Told], part: str) -> dict[str, Any]:
    return {name: faults for one in told for name, faults in one[part].items()}
