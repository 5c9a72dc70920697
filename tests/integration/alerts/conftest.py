"""Funnel and alerts at work on the database of the module."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.alerts.rig import Site, Sites, sites


@pytest.fixture
async def running(database_url: str) -> AsyncIterator[Sites]:
    async with sites(database_url) as started:
        yield started


@pytest.fixture
async def sandbox(running: Sites) -> Site:
    """A sandbox tenant; its clock stands at 1970."""
    return await running.new()


@pytest.fixture
async def real(running: Sites) -> Site:
    """A tenant whose clock is the database's."""
    return await running.new(sandbox=False)
