"""From a definition to a rule that can judge, and what is wrong with one that cannot."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Literal

from pydantic import ValidationError

from libs.common.expr.port import Expression, Expressions, InvalidExpression
from services.alerts.app.definition import RuleDefinition
from services.alerts.domain.rule import Rule
from services.alerts.domain.texts import unknown_places

VARIABLES = ("deal",)
KEPT = 10_000
"""Compiled versions that a process keeps."""
Mode = Literal["live", "off", "deleted"]


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A version of a rule, as a row. Instants but `published_at` are of the tenant's clock.

    `withdrawals` are the earlier versions that were off or deleted, and since when, oldest first.
    """

    tenant_id: str
    rule_id: str
    version: int
    definition: Mapping[str, Any]
    mode: Mode
    effective_from: datetime
    changed_at: datetime
    published_at: datetime
    published_by: str
    judges_since: int
    judges_from: datetime
    withdrawals: Sequence[tuple[int, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a rule: where (a JSON pointer), and why."""

    pointer: str
    code: str
    detail: str


class Compiler:
    """Compiles rules, each version once. Threads may share it."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions
        self._kept: OrderedDict[tuple[str, str, int], Rule] = OrderedDict()
        self._lock = Lock()

    def rule(self, stored: StoredRule) -> Rule:
        """The rule of a stored version. Raises `InvalidExpression` if it no longer compiles."""
        key = stored.tenant_id, stored.rule_id, stored.version
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._compiled(stored)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def refusal(self, stored: StoredRule) -> str | None:
        """Why a stored version no longer compiles, as after an upgrade; `None` while it does.

        Nothing is kept of it: its transaction may yet fail, and its number be another's.
        """
        try:
            self._compiled(stored)
        except InvalidExpression as error:
            return error.detail
        except ValidationError as error:
            first = error.errors()[0]
            return f"/{'/'.join(map(str, first['loc']))}: {first['msg']}"
        return None

    def _compiled(self, stored: StoredRule) -> Rule:
        definition = RuleDefinition.model_validate(stored.definition)
        assert definition.clock is not None  # noqa: S101  # `unbuilt` refuses one without
        scope = self._scope(definition.scope)
        labels = {name: self._label(source) for name, source in definition.labels.items()}
        return Rule(
            rule_id=stored.rule_id,
            version=stored.version,
            name=definition.name,
            live=stored.mode == "live",
            scope=scope,
            clock=definition.clock.clock(),
            effective_from=stored.effective_from,
            changed_at=stored.changed_at,
            catch_up=definition.catching_up(),
            severity=definition.severity,
            labels=labels,
            summary=definition.summary,
            judges_since=stored.judges_since,
            judges_from=stored.judges_from,
            withdrawals=stored.withdrawals,
            attributes="deal.attributes" in (definition.summary or "")
            or any(one.names("deal", "attributes") for one in (scope, *labels.values())),
        )

    def _scope(self, source: str) -> Expression:
        return self._expressions.compile(source, VARIABLES, "bool")

    def _label(self, source: str) -> Expression:
        return self._expressions.compile(source, VARIABLES, "text")

    def faults(self, definition: RuleDefinition) -> Iterator[Fault]:
        """Everything that a compiler has against a definition."""
        yield from self._fault("/scope", definition.scope, "bool")
        for name, source in definition.labels.items():
            yield from self._fault(f"/labels/{name}", source, "text")
        for place in unknown_places(definition.summary or ""):
            yield Fault("/summary", "unknown_name", f"nothing fills {{{{{place}}}}}")

    def _fault(self, pointer: str, source: str, result: Literal["bool", "text"]) -> Iterator[Fault]:
        try:
            self._expressions.compile(source, VARIABLES, result)
        except InvalidExpression as error:
            where = f" (line {error.line}, column {error.column})" if error.line else ""
            yield Fault(pointer, error.code, f"{error.detail}{where}")
