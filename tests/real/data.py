"""Where the real data sets are. They are not ours to hand on, so no copy is in the repository."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "data"


def file(name: str) -> Path:
    """A data file of `HEADWAY_TEST_DATA`, else of `shared/data` beside the repository."""
    folder = Path(os.environ.get("HEADWAY_TEST_DATA") or BESIDE)
    if not (folder / name).is_file():
        pytest.skip(f"REAL DATA MISSING: no {name} in {folder}; set HEADWAY_TEST_DATA")
    return folder / name
