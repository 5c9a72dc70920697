"""Which deals fold together, and the locks that order their writers.

Rows are locked in key order. Groups are read again under the locks: a merge that committed in
between makes the group larger, and then the rest of it is locked too.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.funnel.app.model import DealKey, Kept, StoredDeal
from services.funnel.app.ports import Store
from services.funnel.app.work import Residue, Work


@dataclass(frozen=True, slots=True)
class Group:
    """Deals that merges connect, usually one; `new` is sorted in fold order."""

    tenant_id: str
    members: Sequence[str]
    stored: Mapping[str, StoredDeal]
    new: Sequence[Kept]
    residues: Sequence[Residue]

    @property
    def keys(self) -> list[DealKey]:
        return [(self.tenant_id, deal_id) for deal_id in self.members]


async def locked(store: Store, work: Work) -> list[Group]:
    """The groups of all deals in `work`, their rows locked until the transaction ends."""
    deals = work.deals
    joined = _joined_by(work)
    while True:
        group_of = dict(await store.groups_of(deals))
        joins = _unite(group_of, joined)
        members = deals | group_of.keys()
        stored = await store.lock_deals(members)
        if await store.groups_of(members) == group_of:
            break
        deals = members
    if joins:
        await store.join_groups(joins)
    return _groups(members, group_of | joins, stored, work)


def _joined_by(work: Work) -> list[set[DealKey]]:
    """The sets of deals that new merges connect."""
    return [
        {kept.deal, *((kept.tenant_id, m) for m in merged)}
        for kept in work.new
        if (merged := getattr(kept.event.data, "merged_deal_ids", ()))
    ]


def _unite(group_of: Mapping[DealKey, str], joined: Sequence[set[DealKey]]) -> dict[DealKey, str]:
    """New group ids of everything that new merges connect: the least deal id of each."""
    sets: list[set[DealKey]] = []
    for connected in (*_existing(group_of), *joined):
        apart = [held for held in sets if not held & connected]
        sets = [*apart, connected.union(*(held for held in sets if held & connected))]
    united = {key: min(deals)[1] for deals in sets for key in deals}
    return {key: group for key, group in united.items() if group_of.get(key) != group}


def _existing(group_of: Mapping[DealKey, str]) -> list[set[DealKey]]:
    groups: dict[DealKey, set[DealKey]] = defaultdict(set)
    for key, group_id in group_of.items():
        groups[key[0], group_id].add(key)
    return list(groups.values())


def _groups(
    members: set[DealKey],
    group_of: Mapping[DealKey, str],
    stored: Mapping[DealKey, StoredDeal],
    work: Work,
) -> list[Group]:
    deals: dict[DealKey, list[DealKey]] = defaultdict(list)
    new: dict[DealKey, list[Kept]] = defaultdict(list)
    for key in sorted(members):
        deals[key[0], group_of.get(key, key[1])].append(key)
    for kept in work.new:
        new[kept.tenant_id, group_of.get(kept.deal, kept.event.subject)].append(kept)
    return [
        Group(
            tenant_id,
            [deal_id for _, deal_id in keys],
            {key[1]: stored[key] for key in keys if key in stored},
            sorted(new[tenant_id, group_id], key=lambda kept: kept.event.order),
            [residue for key in keys for residue in work.residues.get(key, ())],
        )
        for (tenant_id, group_id), keys in deals.items()
    ]
