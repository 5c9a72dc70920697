"""Guessing of credentials is refused before anybody looks anything up.

A credential that has proven itself in this process passes whatever its neighbours do: behind one
address, and under one key id, good ones go on while bad ones are refused.
"""

import hashlib
import ipaddress
import os
import re

from fastapi import Request

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.quotas import Policy, Windows
from libs.common.web.quota_headers import OverLimit

_KEY_ID = re.compile(r"bearer\s+hw_([A-Za-z0-9]{12})_", re.IGNORECASE | re.ASCII)
_MOST_FAILING, _MOST_PROVEN = 10_000, 10_000
_DETAIL = "too many credentials were refused; try again later"
Keys = tuple[tuple[str, str], ...]
"""What an attempt counts for: the client's address, and the key id that it names."""


class FailedCredentials:
    """At most `limit` refused credentials a minute for an address and for a key id; 0: no limit."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._policy = Policy("failed-credentials", limit)
        self._failing = {"address": Windows(_MOST_FAILING), "key_id": Windows(_MOST_FAILING)}
        self._proven: dict[bytes, None] = {}
        self._salt = os.urandom(16)

    def refuse_guessing(self, request: Request, given: str) -> None:
        """Raise 429 for an address or a key id that has failed too often, if `given` is new."""
        if not any(map(len, self._failing.values())):
            return
        now = self._clock.monotonic()
        for kind, key in keys_of(request, given):
            standing = self._failing[kind].look(self._policy, key, now)
            if not standing.allowed and self._digest(given) not in self._proven:
                metrics.LIMITED.labels(f"failed_{kind}", "refused").inc()
                raise OverLimit(_DETAIL, standing, code="too_many_failures")

    def failed(self, request: Request, given: str) -> None:
        """A credential was refused."""
        if not self._policy.quota:
            return
        self._proven.pop(self._digest(given), None)
        now = self._clock.monotonic()
        for kind, key in keys_of(request, given):
            self._failing[kind].take(self._policy, key, now, insist=True)

    def proven(self, given: str) -> None:
        """A credential was good."""
        if not self._policy.quota or (digest := self._digest(given)) in self._proven:
            return
        if len(self._proven) >= _MOST_PROVEN:
            self._proven.pop(next(iter(self._proven)))
        self._proven[digest] = None

    def _digest(self, given: str) -> bytes:
        return hashlib.blake2b(given.encode(), key=self._salt, digest_size=16).digest()


def keys_of(request: Request, given: str) -> Keys:
    """An address that is the client's own choice within a network counts as the network."""
    host = request.client.host if request.client else ""
    named = _KEY_ID.match(given)
    return (("address", network_of(host)), *((("key_id", named[1]),) if named else ()))


def network_of(host: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address; what is neither is all one."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "other"
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
