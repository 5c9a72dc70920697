"""Damage of other kinds: full disks, flipped bytes; and what a process holds of the machine."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from libs.common.db.embedded import EmbeddedPostgres


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A small disk at `folder`; skips, and says so, where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a full disk cannot be tried without the right to mount one: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, left: int) -> Path:
    """A file that leaves so many bytes of the disk; remove it to free the rest."""
    free = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        for _ in range(max(0, free.f_bavail * free.f_frsize - left) // 65_536):
            file.write(bytes(65_536))
    return filler


def full(disk: Path, size: int) -> bool:
    """Whether there is no room for so many bytes more."""
    free = os.statvfs(disk)
    return free.f_bavail * free.f_frsize < size


def takes_connections(postgres: EmbeddedPostgres) -> bool:
    """Whether the database lets anybody in."""

    async def tried() -> bool:
        try:
            connection = await asyncpg.connect(postgres.url("postgres"), timeout=5)
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    return asyncio.run(tried())


def flip(path: Path, before: bytes) -> None:
    """Change one bit of the file: in the middle, at the next place where it says `before`."""
    content = bytearray(path.read_bytes())
    content[content.index(before, len(content) // 2)] ^= 1
    path.write_bytes(content)


def rss(pid: int) -> int:
    """Resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024
    raise AssertionError(f"{pid} is gone")


def connections(pid: int, port: int) -> int:
    """Connections of a process to a port of this machine."""
    held = {_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and f"socket:[{row[9]}]" in held for row in rows)


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
