"""Texts that say nothing, each in the place of one that does.

Equal texts have equal pseudonyms within a tenant, and a pseudonym is of its text's class: an
address, a link, digits, a word, words. The key is the tenant's, so that nobody can try texts out.
"""

import hmac
import re
from dataclasses import dataclass, field

_LINK = re.compile(r"\w{1,20}://", re.ASCII)
DIGITS = re.compile(r"[+(]?\d[\d\s().,/+-]*", re.ASCII)
_MARK = 12
_PLACES = 64


def tenant_key(key: bytes, tenant_id: str) -> bytes:
    return hmac.digest(key, tenant_id.encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Under the key of one tenant."""

    key: bytes = field(repr=False)

    def text(self, text: str) -> str:
        if not text.strip():
            return text
        mark = self._hash(text)[:_MARK]
        if "@" in text:
            return f"{mark}@redacted.invalid"
        if _LINK.match(text):
            return f"https://{mark}.invalid/"
        if DIGITS.fullmatch(text):
            return self._digits(text)
        return f"some words {mark}" if len(text.split()) > 1 else f"w{mark}"

    def number(self, number: int) -> int:
        """Of as many digits."""
        return int(self._digits(str(number)))

    def _digits(self, text: str) -> str:
        by = f"{int(self._hash(text), 16):080d}"
        return "".join(
            _other(char, by[at % _PLACES + 8]) if char.isdecimal() else char
            for at, char in enumerate(text)
        )

    def _hash(self, text: str) -> str:
        told = text.encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, told, "sha256").hex()


def _other(digit: str, by: str) -> str:
    """Never the digit itself."""
    chosen = str(1 + int(by) % 9)
    return str(1 + int(digit) % 9) if chosen == digit else chosen
