"""Rigs for the write path."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.funnel.served import Served, served
from tests.integration.funnel.write_rig import Rig, rigged


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rigged(database_url) as built:
        yield built


@pytest.fixture
async def funnel(database_url: str) -> AsyncIterator[Served]:
    """A funnel that works, on the database of the module."""
    async with served(database_url) as running:
        yield running
