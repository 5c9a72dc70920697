"""One key at one address, with answers decoded and refusals raised."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from services.standalone.client.errors import Refused, Unreachable

_TIMEOUT = httpx.Timeout(60, connect=5)
_UPLOAD = httpx.Timeout(None, connect=5)  # a large import answers when all of it has arrived
Query = Mapping[str, Any]


class Api:
    """An asynchronous client; use it as a context manager."""

    def __init__(
        self, url: str, key: str | None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=_TIMEOUT, transport=transport,
            trust_env=False,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, query: Query | None = None) -> Any:
        return (await self.call("GET", path, params=query)).json()

    async def post(self, path: str, body: Any) -> Any:
        return (await self.call("POST", path, json=body)).json()

    async def put(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        return (await self.call("PUT", path, json=body, headers=headers)).json()

    async def delete(self, path: str) -> None:
        await self.call("DELETE", path)

    async def upload(
        self, path: str, body: AsyncIterable[bytes], headers: Mapping[str, str], query: Query
    ) -> Any:
        """POST a stream; it may take as long as it needs."""
        answer = await self.call(
            "POST", path, content=body, headers=headers, params=query, timeout=_UPLOAD
        )
        return answer.json()

    async def pages(self, path: str, query: Query) -> AsyncIterator[Any]:
        """Every item of a list, page after page."""
        cursor: dict[str, Any] = {}
        while True:
            page = await self.get(path, {**query, **cursor})
            for item in page["items"]:
                yield item
            if not page["has_more"]:
                return
            cursor = {"cursor": page["next_cursor"]}

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One exchange; raises `Refused` for 4xx and 5xx, `Unreachable` for none."""
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error
        return _accepted(answer)

    @asynccontextmanager
    async def stream(self, path: str, query: Query) -> AsyncIterator[httpx.Response]:
        """A long answer, read as it comes."""
        try:
            async with self._http.stream("GET", path, params=query, timeout=_UPLOAD) as answer:
                if answer.is_error:
                    await answer.aread()
                yield _accepted(answer)
        except httpx.TransportError as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error


def _accepted(answer: httpx.Response) -> httpx.Response:
    if not answer.is_error:
        return answer
    raise Refused(answer.status_code, _problem(answer))


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict):
        return problem
    return {"title": answer.reason_phrase or "error", "detail": answer.text[:500]}
