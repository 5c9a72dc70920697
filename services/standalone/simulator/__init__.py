"""A seeded B2B sales team: its history as CloudEvents, and what it does next.

Pure: the same plan gives the same bytes, and nothing here reads a clock or opens anything.
"""

from services.standalone.simulator.history import Plan, history, lines
from services.standalone.simulator.live import OpenDeal, next_events
from services.standalone.simulator.world import PIPELINES, pipeline_body

__all__ = ["PIPELINES", "OpenDeal", "Plan", "history", "lines", "next_events", "pipeline_body"]
