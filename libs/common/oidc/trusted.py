"""Whose tokens are believed, what they must say, and what is learned from one that does."""

from dataclasses import dataclass
from typing import Literal

from libs.common.settings import CommonSettings

Reason = Literal[
    "malformed", "type", "algorithm", "key", "signature", "issuer", "audience", "expired", "early",
    "claims", "tenant",
]  # fmt: skip
"""Why a token is refused: for metrics only, clients are told the same for all of them."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """The one issuer. Without `jwks_url` its own configuration tells where its keys are."""

    issuer: str
    audience: str
    tenant_claim: str = "headway_tenant"
    jwks_url: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Who a token speaks for; `scopes` as it claims them, known to us or not."""

    tenant_id: str
    subject: str
    scopes: frozenset[str]


class BadToken(Exception):
    """Nothing that was signed by the issuer for us, for now."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class IssuerAway(Exception):
    """The issuer's keys cannot be had now, so that nothing is said about the token."""


def trusted_by(settings: CommonSettings) -> Trusted | None:
    """The issuer of the settings, if there is one."""
    if not settings.oidc_issuer:
        return None
    return Trusted(
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_tenant_claim,
        settings.oidc_jwks_url,
    )
