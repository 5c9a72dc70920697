"""From settings to a running stack, and back."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from libs.common.db.embedded import EmbeddedPostgres
from libs.common.eventlog.kafka_broker import free_port
from libs.common.process import make_secret_key
from libs.common.settings import CommonSettings
from libs.common.web.serve import listen
from services.standalone.errors import StartError
from services.standalone.layout import Layout
from services.standalone.stack.crew import STOP_SECONDS, Crew, Tell
from services.standalone.stack.pids import stop_orphans
from services.standalone.stack.prepare import prepare
from services.standalone.stack.programs import KAFKA, Place, kafka
from services.standalone.stack.signals import Signals
from services.standalone.stack.table import GATEWAY, PARTS, Part, ports

_POLL = 0.2
_OPTIONS = {"max_connections": "500"}  # every process has its own pools
Ports = Mapping[Part, int]
Show = Callable[[Crew, Ports], None]


@dataclass(frozen=True, slots=True)
class Launcher:
    """`environment` is what the processes inherit; `show` is told once all are ready."""

    settings: CommonSettings
    environment: Mapping[str, str]
    tell: Tell
    show: Show

    def run(self, *, once: bool) -> None:
        """Live until told to stop, or with `once` until all are ready; stop in reverse order."""
        layout, signals = Layout(self.settings.data_dir.resolve()), Signals()
        layout.prepare()
        with ExitStack() as opened:
            opened.enter_context(signals.caught())
            opened.enter_context(layout.owned())
            make_secret_key(layout.root)
            crew = self._crew(layout, signals)
            numbers = self._start(layout, crew, opened)
            crew.await_ready()
            if not signals.to_stop():
                self.show(crew, numbers)
            if not once:
                self._watch(crew, signals)

    def _crew(self, layout: Layout, signals: Signals) -> Crew:
        """Folders for the logs and the pids; what a killed launcher has left behind is stopped."""
        logs, pids = layout.root / "logs", layout.root / "run"
        for folder in (logs, pids):
            folder.mkdir(exist_ok=True, mode=0o700)
        for name in stop_orphans(pids, KAFKA, STOP_SECONDS):
            self.tell(f"stopped {name}, which a killed launcher had left behind")
        return Crew(logs, pids, self.tell, signals.to_stop)

    def _start(self, layout: Layout, crew: Crew, opened: ExitStack) -> Ports:
        """What `opened` closes at the end; the database is migrated before a process starts."""
        listening = opened.enter_context(listen(self.settings.host, self.settings.port))
        database_url = opened.enter_context(self._postgres(layout))
        opened.callback(crew.stop)
        log_url = self._log_url(layout, crew)
        own = self.settings.model_copy(
            update={"database_url": database_url, "log_url": log_url, "data_dir": layout.root}
        )
        self.tell("migrating the database")
        asyncio.run(prepare(own, layout))
        numbers = {**ports(self.settings.port), GATEWAY: listening.getsockname()[1]}
        place = Place({**self.environment, **environment(own)}, numbers, listening.fileno())
        self.tell(f"starting {len(PARTS)} processes")
        for rank in place.ranks():
            crew.start(rank)
        return numbers

    def _log_url(self, layout: Layout, crew: Crew) -> str:
        """The Kafka that is configured, else one of our own, started and ready."""
        if self.settings.log_url.startswith("kafka://"):
            return self.settings.log_url
        self.tell("starting Apache Kafka")
        port = self.settings.port + len(PARTS) if self.settings.port else free_port()
        crew.start([kafka(layout.root / "kafka", port, free_port())])
        crew.await_ready()
        return f"kafka://127.0.0.1:{port}"

    @contextmanager
    def _postgres(self, layout: Layout) -> Iterator[str]:
        if self.settings.database_url:
            yield self.settings.database_url
            return
        self.tell("starting PostgreSQL")
        server = EmbeddedPostgres(layout.postgres, _OPTIONS)
        try:
            server.start()
            yield server.url()
        finally:
            server.stop()

    def _watch(self, crew: Crew, signals: Signals) -> None:
        while not signals.to_stop():
            crew.revive()
            if signals.to_restart():
                self._restart(crew, signals)
            time.sleep(_POLL)

    def _restart(self, crew: Crew, signals: Signals) -> None:
        self.tell("restarting one process after the other")
        try:
            crew.restart([part.name for part in PARTS])
            if not signals.to_stop():
                self.tell("restarted everything")
        except StartError as error:
            self.tell(f"the restart ended early: {error}")


def environment(settings: CommonSettings) -> Mapping[str, str]:
    """What all processes are told of where they are."""
    return {
        "HEADWAY_DATABASE_URL": settings.database_url,
        "HEADWAY_LOG_URL": settings.log_url,
        "HEADWAY_DATA_DIR": str(settings.data_dir),
        "HEADWAY_HOST": settings.host,
    }
