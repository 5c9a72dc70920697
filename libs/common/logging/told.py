"""What is told of an error: types, SQLSTATE and place; its text only where it can hold no data.

Texts of PostgreSQL and its drivers quote values, those of readers and converters what they were
given. A text of ours is no better than that of the error it was made of.
"""

import traceback
from collections.abc import Iterator
from pathlib import Path

TELLING = frozenset(
    {
        "builtins.AttributeError",
        "builtins.ImportError",
        "builtins.MemoryError",
        "builtins.NameError",
        "builtins.NotImplementedError",
        "builtins.OSError",  # and timeouts
        "builtins.RecursionError",
        "asyncio.exceptions.CancelledError",
        "aiokafka.errors.KafkaError",
        "httpx.TransportError",
        "sqlalchemy.exc.TimeoutError",  # of a pool
        "libs.common.db.errors.DatabaseUnavailable",
        "libs.common.db.positions.Fenced",
        "libs.common.db.selfcheck.SelfCheckFailed",
        "libs.common.eventlog.dead_letter.DeadLetterBudgetExhausted",
        "libs.common.eventlog.heartbeat.ReaderBroken",
        "libs.common.eventlog.heartbeat.Stalled",
        "libs.common.eventlog.loop.PositionLost",
        "libs.common.eventlog.port.LogError",
        "libs.common.eventlog.relay.LeaseExpired",
        "libs.common.oidc.fetching.NotFetched",
        "services.ingest.app.ports.IndexUnavailable",
        "services.ingest.app.ports.SpoolFull",
        "services.standalone.client.errors.ClientError",
    }
)
"""Classes, subclasses included, whose texts are made of words, numbers and addresses of ours."""
_LAYERS = 8
"""Most that are told of a chain; a longer one repeats itself."""


def told(error: BaseException) -> str:
    """One line: `IndexUnavailable from DataError 22P05 at keeping.py:63`."""
    place = _place(error)
    return _headed(error, f" at {place}" if place else "")


def traced(error: BaseException) -> str:
    """As Python tells of an exception and what it came from, by `told` instead of its text."""
    return "".join(_traced(error))


def _traced(error: BaseException) -> Iterator[str]:
    for number, layer in enumerate(reversed(_chain(error))):
        if number:
            yield "\nwhich led to:\n\n"
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(layer.__traceback__)
        yield f"{_headed(layer)}\n"
        if isinstance(layer, BaseExceptionGroup):
            for inner in layer.exceptions[:_LAYERS]:
                yield f"\none of these was:\n\n{traced(inner)}"


def _headed(error: BaseException, place: str = "") -> str:
    chain = _chain(error)
    names = " from ".join(type(layer).__name__ for layer in chain)
    state = next((f" {state}" for layer in chain if (state := _sqlstate(layer))), "")
    text = str(error).strip() if all(map(_tells, chain)) else ""
    return f"{names}{state}{place}{f': {text}' if text else ''}"


def _chain(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from or beside, and so on, each once."""
    found: list[BaseException] = []
    layer: BaseException | None = error
    while layer is not None and layer not in found and len(found) < _LAYERS:
        found.append(layer)
        layer = layer.__cause__ or layer.__context__ or getattr(layer, "orig", None)
    return found


def _tells(error: BaseException) -> bool:
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    return not TELLING.isdisjoint(names)


def _sqlstate(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def _place(error: BaseException) -> str:
    """Where it was raised; empty for one that never was."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
