"""How an endpoint that streams a body in lifts the limit on the time of its receipt."""

from collections.abc import Callable

from starlette.types import Scope

KEY = "headway.unhurried"


def unhurried(scope: Scope) -> None:
    """This request's body may take longer than others: the endpoint watches over it from now on.

    Without a server that hurries, nothing happens.
    """
    lift: Callable[[], None] | None = scope.get(KEY)
    if lift is not None:
        lift()
