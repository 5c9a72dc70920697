"""Which address and which key a command uses: the environment first, then the data directory."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from services.standalone.client import Api
from services.standalone.layout import Layout, read_private
from services.standalone.settings import ClientSettings

T = TypeVar("T")
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the key files are (HEADWAY_DATA_DIR, else .headway)."),
]


def as_operator(data_dir: Path | None) -> Api:
    """With HEADWAY_API_KEY, else the data directory's operator key."""
    return _api(data_dir, operator=True)


def as_tenant(data_dir: Path | None) -> Api:
    """With HEADWAY_API_KEY, else the data directory's key of the demo tenant."""
    return _api(data_dir, operator=False)


def _api(data_dir: Path | None, *, operator: bool) -> Api:
    settings = ClientSettings()
    layout = Layout(data_dir or settings.data_dir)
    file = layout.operator_key if operator else layout.demo_key
    return Api(settings.url, settings.api_key.get_secret_value() or read_private(file))


def ask(api: Api, question: Callable[[Api], Awaitable[T]]) -> T:
    """Run one conversation with Headway to its end."""

    async def conversation() -> T:
        async with api:
            return await question(api)

    return asyncio.run(conversation())
