"""The key files of the data directory, and a new key where a file is missing.

A process may die between storing a key and writing its file, and files get lost. Whoever owns the
data directory owns the installation, so a missing file gets a new key of the same rights.
"""

from dataclasses import dataclass
from pathlib import Path

from libs.common.runtime import Resources
from libs.common.web.auth import OPERATOR, OPERATOR_TENANT, new_key
from services.ingest.adapters.directory import Directory
from services.ingest.app.bootstrap_keys import ensure_operator_key
from services.ingest.app.directory import KeyInfo, NewKeyRow
from services.standalone.layout import Layout, read_private, write_private


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Keeps `operator-key` and `demo-key` beside the credentials that they hold."""

    resources: Resources
    directory: Directory
    layout: Layout

    async def operator(self) -> None:
        """Make sure that the operator's file holds a key."""
        made = await ensure_operator_key(
            self.resources.database_url, self._pepper, self.resources.clock
        )
        if made is not None:
            write_private(self.layout.operator_key, made)
        elif read_private(self.layout.operator_key) is None:
            await self._renew(self.layout.operator_key, OPERATOR_TENANT, OPERATOR)

    async def admin(self, tenant_id: str, file: Path) -> str:
        """A new admin key of an existing tenant, kept in `file`."""
        return await self._renew(file, tenant_id, "admin")

    @property
    def _pepper(self) -> bytes:
        return self.resources.key_for("api-keys")

    async def _renew(self, file: Path, tenant_id: str, scope: str) -> str:
        key = new_key(self._pepper)
        now = self.resources.clock.now()
        info = KeyInfo(key.key_id, scope, (scope,), now, expires_at=None, revoked_at=None)
        await self.directory.create_key(NewKeyRow(tenant_id, info, key.key_hash), "standalone")
        write_private(file, key.plain)
        return key.plain
