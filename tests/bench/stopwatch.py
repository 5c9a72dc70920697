"""A stopwatch around functions that exist already: seconds of wall clock and of our own CPU.

What a step does not spend on our CPU it waits, for PostgreSQL above all. Nested steps are taken out
of the one around them, so that the shares of all steps add up.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch


@dataclass(slots=True)
class Step:
    """What a step took without the steps inside of it."""

    calls: int = 0
    seconds: float = 0.0
    cpu: float = 0.0


@dataclass
class Stopwatch:
    """Steps by name. For one task at a time: what runs meanwhile counts as the step's."""

    steps: dict[str, Step] = field(default_factory=dict)
    _inside: list[list[float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        inside = [0.0, 0.0]
        self._inside.append(inside)
        wall, cpu = perf_counter(), process_time()
        try:
            yield
        finally:
            cpu, wall = process_time() - cpu, perf_counter() - wall
            self._inside.pop()
            if self._inside:
                self._inside[-1][0] += wall
                self._inside[-1][1] += cpu
            step = self.steps.setdefault(name, Step())
            step.calls += 1
            step.seconds += wall - inside[0]
            step.cpu += cpu - inside[1]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, plain or asynchronous, on the stopwatch."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: Any, **kwargs: Any) -> Any:
                with self.step(name):
                    return await function(*args, **kwargs)

            return later

        @functools.wraps(function)
        def now(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return function(*args, **kwargs)

        return now

    @contextmanager
    def on(self, places: Sequence[tuple[str, Any, str]]) -> Iterator[None]:
        """Measure `(step, owner, attribute)`; the code itself stays as it is."""
        patches = [
            patch.object(owner, attribute, self.timed(name, getattr(owner, attribute)))
            for name, owner, attribute in places
        ]
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in reversed(patches):
                one.stop()
