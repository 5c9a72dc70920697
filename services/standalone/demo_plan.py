"""What the demo was started with, kept beside its data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import orjson

from services.standalone.layout import read_private, write_private
from services.standalone.settings import DemoSettings
from services.standalone.simulator import Plan


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The simulated history's plan, and whether all of it has been imported and folded."""

    plan: Plan
    seeded: bool = False

    @classmethod
    def kept(cls, file: Path) -> Self | None:
        """The plan of an earlier start, if there was one."""
        text = read_private(file)
        return None if text is None else cls._decoded(orjson.loads(text))

    @classmethod
    def begun(cls, settings: DemoSettings, now: datetime, file: Path) -> Self:
        """A new plan, written down before anything is imported."""
        plan = Plan(now.replace(microsecond=0), settings.seed, settings.months, settings.pace)
        demo = cls(plan)
        demo.write(file)
        return demo

    def finished(self, file: Path) -> Self:
        done = replace(self, seeded=True)
        done.write(file)
        return done

    def write(self, file: Path) -> None:
        plan = self.plan
        content = {"now": plan.now, "seed": plan.seed, "months": plan.months, "pace": plan.pace,
                   "seeded": self.seeded}  # fmt: skip
        write_private(file, orjson.dumps(content).decode())

    @classmethod
    def _decoded(cls, content: Mapping[str, Any]) -> Self:
        now = datetime.fromisoformat(content["now"])
        plan = Plan(now, content["seed"], content["months"], content["pace"])
        return cls(plan, content["seeded"])
