"""`/v1/rules`: written, checked, read."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.audit import record
from libs.common.db.database import driver
from libs.common.web.answers import json_answer
from libs.common.web.auth import Principal, require
from libs.common.web.commands import command, documented
from libs.common.web.errors import ErrorItem, Invalid, NotFound, NotSupportedYet
from libs.common.web.etags import check_if_match, strong_etag
from libs.common.web.pages import BEYOND_VERSIONS, Limit, Turn
from services.alerts.adapters import chores, clocks, rules
from services.alerts.app.compiling import Compiler, StoredRule
from services.alerts.app.definition import RuleDefinition, unbuilt
from services.alerts.app.publishing import deleted, next_version, says
from services.alerts.app.state import AlertsState
from services.alerts.entrypoints.models import Checked, Rule, Rules, RuleVersions
from services.alerts.entrypoints.rules_shown import shown, shown_version
from services.alerts.entrypoints.state import alerts_of, rule_id_of

router = APIRouter(tags=["rules"])
Reader = Annotated[Principal, Depends(require("rules:read"))]
Writer = Annotated[Principal, Depends(require("rules:write"))]
RuleId = Annotated[str, Depends(rule_id_of)]


@router.post("/v1/rules/check", response_model=Checked, openapi_extra=documented(RuleDefinition))
async def check_rule(request: Request, principal: Reader) -> dict[str, Any]:
    """Whether a rule could be saved; 422 with every fault if not. Nothing is kept."""
    definition = await _definition(request, alerts_of(request).compiler)
    return {"valid": True, "definition": definition.stored()}


@router.put("/v1/rules/{rule_id}", response_model=Rule, openapi_extra=documented(RuleDefinition))
async def put_rule(request: Request, principal: Writer, rule_id: RuleId) -> Response:
    """Publish a version. Every deal is judged by it, those of the past included."""
    state = alerts_of(request)
    definition = await _definition(request, state.compiler)
    key = principal.tenant_id, rule_id
    async with state.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, key)
        there = held if held and held.mode != "deleted" else None
        check_if_match(request, _etag(there) if there else None)
        if held is None or not says(held, definition):
            if there is None:
                await _refuse_too_many(tx, state, principal.tenant_id)
            now = await _now(tx, principal.tenant_id)
            by = principal.actor
            new = next_version(held, key, definition, now, state.clock.now(), by)
            await _publish(tx, state, there, new)
        return await _answer(tx, state.compiler, key, 200 if there else 201)


@router.get("/v1/rules", response_model=Rules)
async def list_rules(
    request: Request, principal: Reader, limit: Limit = 50, cursor: str | None = None
) -> Response:
    """Every rule, by id."""
    tenant, turn = principal.tenant_id, Turn.of(request, "rules", limit, cursor)
    (after,) = turn.after or [""]
    async with alerts_of(request).database.for_tenant(tenant, snapshot=True) as tx:
        found = await rules.page(await driver(tx), tenant, after, turn.fetch)
    return json_answer(turn.page(found, lambda rule: [rule.rule_id], shown_version))


@router.get("/v1/rules/{rule_id}", response_model=Rule)
async def read_rule(request: Request, principal: Reader, rule_id: RuleId) -> Response:
    """A rule, whether it compiles, what it costs, and what went wrong with it."""
    state, key = alerts_of(request), (principal.tenant_id, rule_id)
    async with state.database.for_tenant(principal.tenant_id) as tx:
        return await _answer(tx, state.compiler, key, 200)


@router.get("/v1/rules/{rule_id}/versions", response_model=RuleVersions)
async def list_versions(
    request: Request,
    principal: Reader,
    rule_id: RuleId,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """Every version, newest first; that of a deletion included."""
    tenant, turn = principal.tenant_id, Turn.of(request, f"rule {rule_id}", limit, cursor)
    (before,) = turn.after or [BEYOND_VERSIONS]
    async with alerts_of(request).database.for_tenant(tenant, snapshot=True) as tx:
        found = await rules.versions(await driver(tx), tenant, rule_id, before, turn.fetch)
    if not found and turn.after is None:
        raise NotFound("no such rule")
    return json_answer(turn.page(found, lambda rule: [rule.version], shown_version))


@router.delete("/v1/rules/{rule_id}", status_code=204)
async def delete_rule(request: Request, principal: Writer, rule_id: RuleId) -> Response:
    """Delete a rule; its open alerts end as `superseded`."""
    state, key = alerts_of(request), (principal.tenant_id, rule_id)
    async with state.database.for_tenant(principal.tenant_id) as tx:
        held = await _held(tx, key)
        if held is None or held.mode == "deleted":
            raise NotFound("no such rule")
        now = await _now(tx, principal.tenant_id)
        by = principal.actor
        await _publish(tx, state, held, deleted(held, now, state.clock.now(), by))
    return Response(status_code=204)


async def _definition(request: Request, compiler: Compiler) -> RuleDefinition:
    """The body's definition, if it could be saved."""
    definition = await command(request, RuleDefinition)
    missing = [ErrorItem(why, "not_supported_yet", pointer=at) for at, why in unbuilt(definition)]
    if missing:
        fields = ", ".join(str(item.pointer) for item in missing)
        raise NotSupportedYet(f"this rule asks for what is not built yet: {fields}", errors=missing)
    faults = [
        ErrorItem(fault.detail, fault.code, pointer=fault.pointer)
        for fault in compiler.faults(definition)
    ]
    if any(fault.code == "not_supported_yet" for fault in faults):
        raise NotSupportedYet("this rule asks for names that are not built yet", errors=faults)
    if faults:
        raise Invalid("this rule cannot be evaluated", code="invalid_rule", errors=faults)
    return definition


async def _held(tx: AsyncConnection, key: tuple[str, str]) -> StoredRule | None:
    conn = await driver(tx)
    await rules.hold(conn, key[0])
    return await rules.one(conn, *key)


async def _now(tx: AsyncConnection, tenant_id: str) -> Any:
    time = await clocks.tenant_time(await driver(tx), tenant_id)
    if time is None:
        raise NotFound("this credential belongs to no tenant")
    return time.now


async def _refuse_too_many(tx: AsyncConnection, state: AlertsState, tenant_id: str) -> None:
    if len(await rules.page(await driver(tx), tenant_id, "", state.max_rules)) >= state.max_rules:
        raise Invalid(f"a tenant has at most {state.max_rules} rules", code="too_many_rules")


async def _publish(
    tx: AsyncConnection, state: AlertsState, held: StoredRule | None, new: StoredRule
) -> None:
    conn = await driver(tx)
    await rules.insert(conn, new)
    await chores.begin_sweep(conn, new)
    action = "rule.deleted" if new.mode == "deleted" else "rule.published"
    before = held and dict(held.definition)
    after = None if new.mode == "deleted" else dict(new.definition)
    await record(
        tx, "alerts", state.clock, new.tenant_id, new.published_by, action,
        f"rule {new.rule_id} version {new.version}", before=before, after=after,
    )  # fmt: skip


def _etag(rule: StoredRule) -> str:
    return strong_etag("rule", rule.rule_id, rule.version)


async def _answer(
    tx: AsyncConnection, compiler: Compiler, key: tuple[str, str], status: int
) -> Response:
    conn = await driver(tx)
    found = await rules.one(conn, *key)
    if found is None or found.mode == "deleted":
        raise NotFound("no such rule")
    told = await rules.status(conn, found, await _now(tx, key[0]))
    body = shown(found, compiler.refusal(found), told)
    return json_answer(body, status, {"ETag": _etag(found)})
