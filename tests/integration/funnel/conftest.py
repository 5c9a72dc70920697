"""Rigs for the write path."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.funnel.write_rig import Rig, rigged


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rigged(database_url) as built:
        yield built
