"""Identifiers: UUIDv7 for rows we create, UUIDv5 for effects that must repeat byte for byte."""

import hashlib
import hmac
import os
import secrets
import uuid

from libs.common.clock import Clock

NAMESPACE = uuid.UUID("6f2c7f0e-6a0b-5d6e-9a53-0d8e5a5b9c11")


def uuid7(clock: Clock) -> uuid.UUID:
    """A time-ordered id (RFC 9562, version 7): 48 bits of milliseconds, 74 random bits."""
    millis = int(clock.now().timestamp() * 1000)
    rand = int.from_bytes(os.urandom(10), "big")
    value = (millis & (1 << 48) - 1) << 80 | 0x7 << 76 | (rand >> 68) << 64
    return uuid.UUID(int=value | 0b10 << 62 | rand & (1 << 62) - 1)


def uuid5(*parts: str) -> uuid.UUID:
    """The stable id of an effect, from the parts that identify it."""
    return uuid.uuid5(NAMESPACE, "\x1f".join(parts))


def secret(length: int = 32) -> str:
    """URL-safe randomness of `length` bytes, for credentials."""
    return secrets.token_urlsafe(length)


def derived_key(secret_key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose; knowing it tells nothing of the others."""
    return hmac.digest(secret_key, f"headway:{purpose}".encode(), hashlib.sha256)
