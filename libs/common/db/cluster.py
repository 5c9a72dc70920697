"""A cluster's files: made whole or not at all, and only used by the version that made them."""

import os
import shutil
import subprocess
from pathlib import Path

from libs.common.db.unprivileged import Runner, give

_OPTIONS = (
    "-U",
    "postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--no-locale",  # order by code point, the same on every machine
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",  # but know upper and lower case of every alphabet
    "--no-instructions",
    "--data-checksums",
)


class ClusterError(Exception):
    """The data directory cannot be made or used; the message says what to do."""


def create_cluster(data: Path, binaries: Path, runner: Runner) -> None:
    """Create the cluster unless there is one; one that was left half-made is made anew.

    initdb works beside the final place, and a rename is the last step.
    """
    if data.exists():
        return
    draft = data.with_name("data.draft")
    shutil.rmtree(draft, ignore_errors=True)
    command = runner.command(binaries / "initdb", ["-D", str(draft), *_OPTIONS])
    done = subprocess.run(
        command, capture_output=True, check=False, cwd=data.parent, **runner.options
    )
    if done.returncode != 0:
        raise ClusterError(f"initdb failed: {done.stderr.decode(errors='replace')[-2000:]}")
    draft.rename(data)
    if runner.owner is not None:
        give(data, runner.owner)
    _sync(data.parent)


def refuse_other_version(data: Path, binaries: Path) -> None:
    """A cluster of another major version needs pg_upgrade or a dump, not a start."""
    try:
        found = (data / "PG_VERSION").read_text("ascii").strip()
    except OSError:
        raise ClusterError(f"{data} is not a PostgreSQL data directory: move it away") from None
    ours = binary_version(binaries)
    if found != ours:
        raise ClusterError(
            f"{data} was made by PostgreSQL {found}, but this installation has {ours}:"
            " start it once with the release of Headway that made it and export, or run pg_upgrade"
        )


def binary_version(binaries: Path) -> str:
    """The major version of the installed server."""
    command = [str(binaries / "postgres"), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ClusterError(
            f"no PostgreSQL in {binaries} ({error}): this platform has no embedded server;"
            " set HEADWAY_DATABASE_URL"
        ) from error
    return done.stdout.decode().split()[-1].partition(".")[0]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
