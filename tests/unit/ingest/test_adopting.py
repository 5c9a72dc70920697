"""Folders of processes that are gone: each is taken once it is found, whatever a look meets."""

import asyncio
from pathlib import Path
from typing import Any, cast

from services.ingest.adapters.spool.files import SpoolLimits
from services.ingest.adapters.spool.stores import SpoolFolders
from services.ingest.app.adopting import adopt
from services.ingest.app.ports import SpoolStore
from services.ingest.domain.frames import frame


class Moving(SpoolFolders):
    """Another process takes a file away while the first looks are under way."""

    looks = 0

    def orphan(self) -> Any:
        self.looks += 1
        if self.looks < 3:
            raise FileNotFoundError("scripted")
        return super().orphan()


async def test_a_look_that_fails_is_not_the_last(tmp_path: Path) -> None:
    stores = Moving(tmp_path, SpoolLimits(1_000_000, 1_000_000))
    left = stores.own()
    left.append([frame(b"1")])
    left.close()
    stop, found = asyncio.Event(), list[SpoolStore]()

    async def take(store: SpoolStore) -> None:
        found.append(store)
        stop.set()

    async with asyncio.timeout(10):
        await adopt(cast(Any, stores), stop, 0.001, take)
    assert [payload for _, payload in found[0].frames()] == [b"1"]
    found[0].close()
