"""Secrets of connections at rest: AES-256-GCM, bound to the tenant and the connection.

What is sealed for one connection opens for no other, so a copied row gives nothing away and nobody
another's proof. The key derives from `HEADWAY_SECRET_KEY`.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORM = b"\x01"
_NONCE = 12


class CannotOpen(Exception):
    """Sealed under another key, or for another connection."""


class Sealer:
    """Seals and opens with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, tenant_id: str, connection_id: str, secrets: Sequence[str]) -> tuple[bytes, ...]:
        about = _about(tenant_id, connection_id)
        return tuple(self._sealed(secret.encode(), about) for secret in secrets)

    def open(self, tenant_id: str, connection_id: str, sealed: Sequence[bytes]) -> tuple[str, ...]:
        """Raises `CannotOpen`."""
        about = _about(tenant_id, connection_id)
        return tuple(self._opened(bytes(one), about) for one in sealed)

    def _sealed(self, secret: bytes, about: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return _FORM + nonce + self._cipher.encrypt(nonce, secret, about)

    def _opened(self, sealed: bytes, about: bytes) -> str:
        if sealed[:1] != _FORM:
            raise CannotOpen("sealed in a form that this version does not know")
        nonce, content = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, content, about).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("HEADWAY_SECRET_KEY is not the one that it was sealed under") from None


def _about(tenant_id: str, connection_id: str) -> bytes:
    return f"{tenant_id}\x1f{connection_id}".encode()
