"""Who asks, and what a credential may be allowed."""

from dataclasses import dataclass

SCOPES = frozenset(
    {
        "events:write", "deals:read", "metrics:read", "rules:read", "rules:write", "alerts:read",
        "alerts:write", "goals:write", "config:write", "admin",
    }
)  # fmt: skip
"""What a tenant's key or user may be allowed; `admin` implies all of them."""
OPERATOR = "operator"
OPERATOR_TENANT = "_operator"
"""The reserved tenant id that operator keys are kept under."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what for. An operator's principal has no tenant of its own.

    `actor` is `key:<id>` or `user:<subject>`, so keys and users never meet under one name. It goes
    into the audit trail, never into a log.
    """

    tenant_id: str
    actor: str
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        return OPERATOR in self.scopes

    def may(self, scope: str) -> bool:
        """Whether the credential covers `scope`; `operator` and tenants' scopes never mix."""
        if scope == OPERATOR or self.is_operator:
            return scope == OPERATOR and self.is_operator
        return scope in self.scopes or "admin" in self.scopes
