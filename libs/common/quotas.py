"""Counting in windows: how much of a quota is used, and when it is there again. Pure."""

import math
from collections.abc import Hashable
from dataclasses import dataclass

DEFAULT_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Policy:
    """So many units in a window of so many seconds; without a window it is how many at a time."""

    name: str
    quota: int
    window: int | None = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """What a use met: whether it passes, what is left, and seconds until all of it is back."""

    policy: Policy
    allowed: bool
    remaining: int
    seconds: int = 0
    until: float = 0.0
    """When the window ends: names the window to `give_back`."""


@dataclass(slots=True)
class _Window:
    until: float
    used: int = 0


class Windows:
    """What each key has used of its window, which begins with its first use.

    A use larger than a whole quota passes where nothing is used yet, and holds as many windows as
    it is worth: it can be met, and the average still holds. At most `most` keys are kept; the
    oldest window gives way, so that a flood of keys costs no memory.
    """

    def __init__(self, most: int = DEFAULT_MOST) -> None:
        self._most = most
        self._windows: dict[Hashable, _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def look(self, policy: Policy, key: Hashable, now: float, cost: int = 1) -> Standing:
        """Whether a use would pass; uses nothing."""
        window = self._open(key, now)
        if window is None:
            return Standing(policy, True, policy.quota)
        fits = window.used + cost <= policy.quota
        return _standing(policy, window, now, allowed=fits)

    def take(
        self, policy: Policy, key: Hashable, now: float, cost: int = 1, *, insist: bool = False
    ) -> Standing:
        """Use `cost` units, or nothing if they do not fit; with `insist` they are used anyhow."""
        window = self._open(key, now)
        if window is None:
            window = self._begin(policy, key, now, 1 if insist else _worth(policy, cost))
        elif not insist and window.used + cost > policy.quota:
            return _standing(policy, window, now, allowed=False)
        window.used += cost
        return _standing(policy, window, now, allowed=True)

    def give_back(self, key: Hashable, until: float, cost: int = 1) -> None:
        """Undo a use, while its window is still the one that ends at `until`."""
        window = self._windows.get(key)
        if window is None or window.until != until:
            return
        window.used -= cost
        if window.used <= 0:
            del self._windows[key]

    def _open(self, key: Hashable, now: float) -> _Window | None:
        window = self._windows.get(key)
        return window if window is not None and now < window.until else None

    def _begin(self, policy: Policy, key: Hashable, now: float, windows: int) -> _Window:
        self._windows.pop(key, None)
        self._make_room(now)
        begun = _Window(now + (policy.window or 0) * windows)
        self._windows[key] = begun
        return begun

    def _make_room(self, now: float) -> None:
        """Drop what is over, the oldest first, and one that is not where there is no other way."""
        while self._windows:
            oldest = next(iter(self._windows))
            if now < self._windows[oldest].until and len(self._windows) < self._most:
                return
            del self._windows[oldest]


def _worth(policy: Policy, cost: int) -> int:
    return max(1, math.ceil(cost / policy.quota))


def _standing(policy: Policy, window: _Window, now: float, *, allowed: bool) -> Standing:
    remaining = max(0, policy.quota - window.used)
    return Standing(policy, allowed, remaining, math.ceil(window.until - now), window.until)
