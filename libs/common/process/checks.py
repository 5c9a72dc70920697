"""What every process of a service depends on, whatever the service says of itself."""

from collections.abc import Mapping
from dataclasses import replace

from libs.common.db.database import Database
from libs.common.eventlog.port import EventLog
from libs.common.runtime import Check, Service
from libs.common.web.checks import database_check, log_check


def base_checks(service: Service, pings: Database, log: EventLog, *, working: bool) -> Service:
    """The service with a check of its database and of the log.

    Workers need both. APIs answer from the database, and only tell when the log is away. What a
    service checks or only warns of under the same name stays its own.
    """
    needed: dict[str, Check] = {"database": database_check(pings)}
    needed |= {"log": log_check(log)} if working else {}
    own: Mapping[str, Check] = {**service.readiness, **({} if working else service.warnings)}
    more = {name: check for name, check in needed.items() if name not in own}
    readiness = {**service.readiness, **more}
    told = {"log": log_check(log), **service.warnings}
    warnings = {name: check for name, check in told.items() if name not in readiness}
    return replace(service, readiness=readiness, warnings=warnings)
