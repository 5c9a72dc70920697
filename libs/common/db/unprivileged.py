"""As whom PostgreSQL runs: it refuses to run as root.

An ordinary user runs it as himself. Root runs it inside a user namespace, where our files keep
their owner and nothing outside the folder is touched. Where namespaces are forbidden (many
containers), root gives the folder to `nobody` and runs it as that user.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
_USER = "nobody"


class NoUnprivilegedUser(Exception):
    """Root found no way to run a program as somebody else; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Runner:
    """How programs are started: a prefix of the command, or another user."""

    prefix: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    owner: int | None = None
    """Whom the folder has to belong to, if not to us."""

    def command(self, program: Path, arguments: Sequence[str]) -> list[str]:
        return [*self.prefix, str(program), *arguments]


def runner_for(folder: Path, program: Path) -> Runner:
    """How to run `program` on files below `folder`; an existing folder keeps its owner."""
    if os.geteuid() != 0:
        return Runner()
    owner = folder.stat().st_uid
    if owner == 0 and namespaces_work():
        return Runner(prefix=_NAMESPACE)
    return _as_user(folder, program, owner or _nobody())


def namespaces_work() -> bool:
    """Whether root may become an ordinary user inside a namespace here."""
    if shutil.which(_NAMESPACE[0]) is None:
        return False
    done = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False)
    return done.returncode == 0


def _nobody() -> int:
    try:
        return pwd.getpwnam(_USER).pw_uid
    except KeyError:
        raise NoUnprivilegedUser(
            f"PostgreSQL does not run as root, and there is no user {_USER!r} to run it as:"
            " start Headway as an ordinary user, or set HEADWAY_DATABASE_URL"
        ) from None


def _as_user(folder: Path, program: Path, uid: int) -> Runner:
    runner = Runner(options={"user": uid, "group": _group(uid), "extra_groups": ()}, owner=uid)
    give(folder, uid)
    for path, access in ((folder, os.W_OK), (program, os.X_OK)):
        if not _reachable(path, access, runner):
            raise NoUnprivilegedUser(
                f"PostgreSQL does not run as root, and user {uid} cannot reach {path}: start"
                " Headway as an ordinary user, move HEADWAY_DATA_DIR and the installation to where"
                " everybody may look, or set HEADWAY_DATABASE_URL"
            )
    return runner


def give(folder: Path, uid: int) -> None:
    """Make `uid` the owner of the folder and of all that is in it, links not followed."""
    group = _group(uid)
    os.chown(folder, uid, group)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(place) / name, uid, group, follow_symlinks=False)


def _group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _reachable(path: Path, access: int, runner: Runner) -> bool:
    flag = {os.W_OK: "-w", os.X_OK: "-x"}[access]
    done = subprocess.run(["test", flag, str(path)], check=False, cwd="/", **runner.options)
    return done.returncode == 0
