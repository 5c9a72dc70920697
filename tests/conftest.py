"""Fixtures of every tier: one PostgreSQL per run, a clean migrated database per module."""

import os

from hypothesis import HealthCheck, settings

from libs.common.testing.evidence import *  # noqa: F403
from libs.common.testing.fixtures import *  # noqa: F403

settings.register_profile(
    "headway",
    max_examples=200,
    deadline=None,  # no test judges speed
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("headway")
