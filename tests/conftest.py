"""Fixtures of every tier: one PostgreSQL per run, a clean migrated database per module."""

from libs.common.testing.fixtures import *  # noqa: F403
