"""What has to be there before the first process starts: schemas, topics, the operator's key."""

from libs.common.contracts.topics import TOPICS
from libs.common.db.database import Database
from libs.common.db.migrate import SERVICES, migrate
from libs.common.db.selfcheck import check_roles
from libs.common.eventlog.port import EventLog, TopicConfig
from libs.common.process import open_resources
from libs.common.runtime import Resources
from libs.common.settings import CommonSettings
from services.ingest.adapters.directory import Directory
from services.standalone.keys import KeyFiles
from services.standalone.layout import Layout


async def prepare(settings: CommonSettings, layout: Layout) -> None:
    """Bring the database and the log of `settings` to where processes find what they need."""
    await migrate(settings.database_url)
    for name in SERVICES:
        await check_roles(settings.database_url, name)
    async with open_resources(settings) as resources:
        await make_topics(resources.log, settings.partitions)
        await _make_operator_key(resources, layout)


async def make_topics(log: EventLog, partitions: int) -> None:
    """Every topic of the contract; those that are there stay as they are."""
    await log.create_topics(
        [
            TopicConfig(
                topic.name, partitions, topic.retention_days, compact=topic.cleanup == "compact"
            )
            for topic in TOPICS.values()
        ]
    )


async def _make_operator_key(resources: Resources, layout: Layout) -> None:
    url = resources.database_url
    worker, api = (
        Database(url, f"headway_ingest_{role}", pool_size=1) for role in ("worker", "api")
    )
    try:
        await KeyFiles(resources, Directory(worker, api, resources.clock), layout).operator()
    finally:
        await worker.close()
        await api.close()
