"""The OpenAPI documents of all services as files: `python -m services.standalone.openapi FOLDER`.

Services are built as for a process, but nothing is opened: building touches no database and no log.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from libs.common.clock import SystemClock
from libs.common.db.database import Database
from libs.common.eventlog.factory import open_log
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings
from libs.common.web.auth import Authenticator
from libs.common.web.cursors import Cursors
from libs.common.web.factory import create_app, document_of
from services.standalone.composition import BUILDERS

NOWHERE = "postgresql://headway@127.0.0.1:1/headway"
"""A database that is never asked."""
KEY = bytes(32)

Documents = Mapping[str, Mapping[str, Any]]


def documents() -> Documents:
    """The document of each service that has built something to describe, by its name."""
    clock, settings = SystemClock(), CommonSettings.model_construct()
    log = open_log("postgres+log://", NOWHERE, clock, "openapi")
    resources = Resources(clock, settings, NOWHERE, log, KEY, "openapi")
    services = [build(resources) for build in BUILDERS]
    authenticator = Authenticator(Database(NOWHERE, "headway_ingest_api"), KEY, clock)
    app = create_app(services, authenticator=authenticator, cursors=Cursors(KEY), clock=clock)
    described = {service.name: document_of(app, service.name) for service in services}
    return {name: document for name, document in described.items() if document["paths"]}


def rendered(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def drift(folder: Path, wanted: Documents) -> Iterator[str]:
    """What of a folder is not what the code says."""
    there = {path.stem for path in folder.glob("*.json")}
    yield from (f"{name}.json is of no service" for name in sorted(there - wanted.keys()))
    for name, document in wanted.items():
        if name not in there:
            yield f"{name}.json is missing"
        elif folder.joinpath(f"{name}.json").read_text("utf-8") != rendered(document):
            yield f"{name}.json has drifted"


def write(folder: Path, wanted: Documents) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in {path.stem for path in folder.glob("*.json")} - wanted.keys():
        folder.joinpath(f"{stale}.json").unlink()
    for name, document in wanted.items():
        folder.joinpath(f"{name}.json").write_text(rendered(document), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), documents())
