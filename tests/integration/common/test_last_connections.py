"""A port that ends: who was let in is answered, by an answer that says that it is the last one."""

import asyncio

import pytest

from tests.integration.common.connections import CALM, GET, Client, Site, site, status


async def _ending(opened: Site) -> "asyncio.Task[None]":
    """The port is closing: nobody else is let in."""
    closing = asyncio.create_task(opened.at.close())
    while True:
        try:
            (await opened.client()).writer.close()
        except OSError:
            return closing


async def _last_answer(client: Client) -> bytes:
    answer = await client.rest()
    assert (status(answer), b"connection: close" in answer.lower()) == (200, True)
    return answer


@pytest.mark.parametrize("before", [0, 9, len(GET) - 2], ids=["nothing", "a line", "a head"])
async def test_who_came_in_for_a_request_is_answered(before: int) -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        await client.send(GET[:before])
        closing = await _ending(opened)
        await client.send(GET[before:])
        await _last_answer(client)
        await closing


async def test_a_second_request_that_has_begun_is_answered() -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        await client.send(GET)
        assert b"connection: close" not in (await client.answer()).lower()
        await client.send(GET[:9])
        closing = await _ending(opened)
        await client.send(GET[9:])
        await _last_answer(client)
        await closing


async def test_a_request_whose_body_is_still_to_come_is_answered() -> None:
    async with site(CALM) as opened:
        client = await opened.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        while not opened.told.scopes:
            await asyncio.sleep(0)
        closing = await _ending(opened)
        await client.send(b"ab")
        await _last_answer(client)
        await closing


async def test_who_says_nothing_is_left_without_a_word() -> None:
    async with site(CALM) as opened:
        silent, idle = await opened.client(), await opened.client()
        await idle.send(GET)
        await idle.answer()
        await asyncio.wait_for(opened.at.close(), 8)  # before open requests would be given up
        assert await silent.rest() == await idle.rest() == b""
