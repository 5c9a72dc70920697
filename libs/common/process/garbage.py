"""How often Python looks for objects that only refer to each other."""

import gc

YOUNG = 20_000
"""Objects that are new and still there. Python's own 700 are reached forty times in a request of
500 events, none of which has died yet."""


def collect_seldom() -> None:
    """Once at the start of a process. What is there now stays, and is not looked at again."""
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
