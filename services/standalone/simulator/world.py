"""The fixed cast: pipelines, teams, reps, products and accounts. Every name is synthetic."""

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from services.standalone.simulator.draws import generator

REGIONS = ("north", "south", "east", "west")
INDUSTRIES = ("machinery", "chemicals", "logistics", "retail", "energy", "food")
SOURCES = ("fair", "web", "referral", "outbound", "partner")
PARTNERS = ("partner-1", "partner-2", "partner-3")
LOSS_REASONS = ("price", "no_decision", "competitor", "timing", "missing_feature")
CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Stage:
    """An open stage: median stay in days, its spread, and the weights of how it ends."""

    id: str
    name: str
    days: float
    sigma: float
    advance: float
    lose: float
    back: float = 0
    skip: float = 0
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Open stages in order; every pipeline also has `won` and `lost`."""

    id: str
    name: str
    stages: tuple[Stage, ...]

    def position(self, stage_id: str) -> int | None:
        """Where an open stage stands; `None` for any other stage."""
        return next((n for n, stage in enumerate(self.stages) if stage.id == stage_id), None)


NEW_BUSINESS = Pipeline("b2b", "New business", (
    Stage("reach", "Reach", 5, 0.8, advance=56, lose=40, skip=4, target="0.55"),
    Stage("discovery", "Discovery", 10, 0.7, advance=64, lose=26, back=4, skip=6, target="0.65"),
    Stage("proposal", "Proposal", 12, 0.7, advance=66, lose=26, back=8, target="0.70"),
    Stage("negotiation", "Negotiation", 9, 0.8, advance=66, lose=26, back=8, target="0.70"),
))  # fmt: skip
RENEWAL = Pipeline("renewal", "Renewal", (
    Stage("upcoming", "Upcoming", 20, 0.5, advance=88, lose=8, skip=4, target="0.90"),
    Stage("quoted", "Quoted", 14, 0.6, advance=86, lose=10, back=4, target="0.90"),
    Stage("committed", "Committed", 8, 0.6, advance=94, lose=4, back=2, target="0.95"),
))  # fmt: skip
PIPELINES = {pipeline.id: pipeline for pipeline in (NEW_BUSINESS, RENEWAL)}


def pipeline_body(pipeline: Pipeline) -> dict[str, Any]:
    """The body of `PUT /v1/pipelines/{id}`."""
    stages = [_stage_body(stage) for stage in pipeline.stages]
    ends = [{"id": end, "name": end.title(), "class": end} for end in ("won", "lost")]
    return {"name": pipeline.name, "stages": [*stages, *ends]}


def _stage_body(stage: Stage) -> dict[str, Any]:
    body: dict[str, Any] = {"id": stage.id, "name": stage.name, "class": "open"}
    if stage.target is not None:
        body["target_conversion"] = float(stage.target)
    return body


@dataclass(frozen=True, slots=True)
class Product:
    """A product line with its typical deal value and how much values spread."""

    id: str
    amount: float
    sigma: float


PRODUCTS = (
    Product("press", 42_000, 0.5),
    Product("conveyor", 18_000, 0.6),
    Product("control", 9_000, 0.7),
    Product("service", 4_500, 0.5),
)


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    name: str
    manager_id: str


@dataclass(frozen=True, slots=True)
class Rep:
    """`skill` scales the odds of advancing, `pace` the days that a stage takes."""

    id: str
    name: str
    team_id: str
    manager_id: str
    skill: float
    pace: float


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    parent_id: str | None
    industry: str
    region: str
    tier: Literal["a", "b", "c"]
    customer: bool
    owner_id: str


@dataclass(frozen=True, slots=True)
class World:
    teams: tuple[Team, ...]
    reps: tuple[Rep, ...]
    accounts: tuple[Account, ...]

    def rep(self, rep_id: str) -> Rep:
        return next((rep for rep in self.reps if rep.id == rep_id), self.reps[0])


def build_world(seed: int) -> World:
    """3 teams of 4 reps, 120 accounts; every tenth account is the parent of the next three."""
    rng = generator(seed, "world")
    teams = tuple(Team(f"team-{n}", f"Team {n}", f"mgr-{n}") for n in (1, 2, 3))
    reps = tuple(_rep(rng, n, teams[(n - 1) // 4]) for n in range(1, 13))
    accounts = tuple(_account(rng, n, reps) for n in range(1, 121))
    return World(teams, reps, accounts)


def _rep(rng: Random, number: int, team: Team) -> Rep:
    skill, pace = round(rng.uniform(0.75, 1.3), 3), round(rng.uniform(0.8, 1.3), 3)
    name = f"rep-{number:02}"
    return Rep(name, f"Rep {number:02}", team.id, team.manager_id, skill, pace)


def _account(rng: Random, number: int, reps: tuple[Rep, ...]) -> Account:
    group, place = divmod(number - 1, 10)
    return Account(
        id=f"acc-{number:03}",
        name=f"Account {number:03}",
        parent_id=f"acc-{group * 10 + 1:03}" if place in (1, 2, 3) else None,
        industry=rng.choice(INDUSTRIES),
        region=rng.choice(REGIONS),
        tier=rng.choices(("a", "b", "c"), (2, 3, 5))[0],
        customer=number % 12 < 7,
        owner_id=rng.choice(reps).id,
    )
