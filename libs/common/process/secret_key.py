"""The secret that the keys of credentials, cursors and tokens derive from."""

import os
import secrets
from pathlib import Path

from libs.common.process.commands import ConfigurationError
from libs.common.settings import CommonSettings

MIN_SECRET = 32
"""Characters of a secret key; `make_secret_key` writes more."""


def read_secret_key(settings: CommonSettings) -> bytes:
    """The secret that all keys derive from: the setting, else the file of the data directory."""
    file = secret_key_file(settings.data_dir)
    secret = settings.secret_key.get_secret_value()
    if not secret and file.exists():
        secret = file.read_text("utf-8").strip()
    if not secret:
        raise ConfigurationError(f"HEADWAY_SECRET_KEY is not set and {file} does not exist")
    if len(secret) < MIN_SECRET:
        raise ConfigurationError(f"the secret key is shorter than {MIN_SECRET} characters")
    return secret.encode()


def secret_key_file(data_dir: Path) -> Path:
    return data_dir / "secret-key"


def make_secret_key(data_dir: Path) -> None:
    """Write a new secret key for its owner's eyes only, unless there is one."""
    file = secret_key_file(data_dir)
    if file.exists():
        return
    draft = file.with_name(f".secret-key-{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(secrets.token_urlsafe(48))
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(draft, file)  # the first of two starters wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
