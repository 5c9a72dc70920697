"""The API process of each service behind the gateway, which all believe an issuer on loopback."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from anyio.from_thread import start_blocking_portal

from libs.common.clock import SystemClock
from libs.common.ids import derived_key
from services.ingest.app.bootstrap_keys import ensure_operator_key
from services.standalone.stack.table import Part, addresses
from tests.e2e.processes.stack import SECRET, Process, Stack, until
from tests.integration.oidc.issuing import Issuing, issuing
from tests.integration.oidc.minting import AUDIENCE

SERVICES = ("ingest", "funnel", "alerts", "reporting")
_AUDIT = """SELECT actor, object FROM ingest.audit WHERE tenant_id = $1
    UNION ALL SELECT actor, object FROM funnel.audit WHERE tenant_id = $1
    UNION ALL SELECT actor, object FROM alerts.audit WHERE tenant_id = $1"""


@contextmanager
def issuer() -> Iterator[Issuing]:
    """It serves on a thread of its own; what it answers may be changed meanwhile."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(issuing()) as serving:
        yield serving


@dataclass
class Gatewayed:
    """The gateway's address, whose tokens are believed behind it, and the operator's key."""

    url: str
    issuer: Issuing
    operator: str
    database_url: str
    http: httpx.Client

    def ask(self, credential: str, path: str, method: str = "GET", **told: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {credential}"}
        return self.http.request(method, path, headers=headers, **told)

    def done(self, credential: str, path: str, method: str = "PUT", **told: Any) -> Any:
        """What answers a request that has to succeed."""
        answer = self.ask(credential, path, method, **told)
        assert answer.is_success, answer.text
        return answer.json()

    def statuses(self, credential: str, paths: Sequence[str]) -> Sequence[int]:
        return [self.ask(credential, path).status_code for path in paths]

    def audited(self, tenant: str) -> Mapping[str, set[str]]:
        """Who did something to each object, by the audit tables of all services."""

        async def read() -> Sequence[Any]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return list(await connection.fetch(_AUDIT, tenant))
            finally:
                await connection.close()

        found: dict[str, set[str]] = {}
        for row in asyncio.run(read()):
            found.setdefault(row["object"], set()).add(row["actor"])
        return found


@contextmanager
def gatewayed(url: str, server: str, folder: Path) -> Iterator[Gatewayed]:
    """Processes as in a deployment: APIs, the funnel's worker, and the gateway before them."""
    with ExitStack() as opened:
        serving = opened.enter_context(issuer())
        settings = {
            "HEADWAY_OIDC_ISSUER": serving.url, "HEADWAY_OIDC_AUDIENCE": AUDIENCE,
            "HEADWAY_RATE_FAILURES": "0",  # all the bad credentials come from one address
        }  # fmt: skip
        stack = opened.enter_context(Stack(folder, url, f"kafka://{server}", settings))
        pepper = derived_key(SECRET.encode(), "api-keys")
        operator = asyncio.run(ensure_operator_key(url, pepper, SystemClock()))
        assert operator is not None
        gateway = _started(stack)
        http = httpx.Client(base_url=gateway.url, timeout=30, trust_env=False)
        yield Gatewayed(gateway.url, serving, operator, url, opened.enter_context(http))


def _started(stack: Stack) -> Process:
    """The gateway, once it says that every service is served."""
    apis = {Part(name, "api"): stack.start(name, "api") for name in SERVICES}
    stack.start("funnel", "worker")
    fleet = addresses({part: process.url for part, process in apis.items()})
    gateway = stack.start("standalone", "gateway", HEADWAY_GATEWAY_PROCESSES=fleet).ready()
    ready = f"{gateway.url}/readyz"
    until(
        "every service is served",
        lambda: httpx.get(ready, trust_env=False).json()["status"] == "ok",
    )
    return gateway
