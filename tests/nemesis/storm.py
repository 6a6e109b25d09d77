"""One run: a cluster of real processes, clients that write down what they hear, a nemesis, and the judgement afterwards.

What must hold when everything is healed: all managers hold the same keys; every acknowledged creation is there, with the
version and value that were acknowledged, and no refused one; the history of every key is linearizable, versions included;
versions follow real time over all keys.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

import attrs
import trio

import swarmtui
from swarmtui.client.errors import ClientError
from swarmtui.objects.records import KeyValue
from swarmtui.sim.explanation import explain
from swarmtui.sim.history import Ending, Kind, Operation
from swarmtui.sim.linearizability import Verdict, check_versions, judge
from swarmtui.wire.node_calls import Consistency, GetStatus, ListRecords, NodeReport, Records
from tests.nemesis.faults import Nemesis, Say
from tests.nemesis.recorder import CREATED, Client, Record

WHOLE_S = 120.0  # within which a healed cluster on a slow machine is whole
LOOK_S = 0.1

FILE = """
[cluster]
name = "nemesis"
managers = {managers}

[raft]
snapshot_every = 150
keep_entries = 20
"""


class Violation(AssertionError):
    """The cluster broke a promise. The text says which."""


@attrs.frozen(kw_only=True)
class StormPlan:
    seed: int
    seconds: float
    managers: int = 5
    clients: int = 8
    keys: int = 6

    @property
    def file(self) -> str:
        return FILE.format(managers=self.managers)


@attrs.frozen
class Summary:
    plan: StormPlan
    record: Record
    faults: dict[str, int]
    judged: dict[str, int]
    judged_in_s: float

    def __str__(self) -> str:
        record = self.record
        counts = ", ".join(f"{count} {what}" for what, count in sorted(record.counts.items()))
        refusals = ", ".join(f"{count} {rule}" for rule, count in sorted(record.refusals.items())) or "none"
        faults = ", ".join(f"{count} {what}" for what, count in sorted(self.faults.items()))
        judged = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.judged.items()))
        return (
            f"nemesis seed {self.plan.seed}, {self.plan.seconds:g} s, {self.plan.managers} managers\n"
            f"  operations: {counts}\n  refused: {refusals}\n  faults: {faults}\n"
            f"  longest time without an acknowledged write: {record.longest_gap_s():.2f} s\n"
            f"  keys: {judged} (in {self.judged_in_s:.1f} s)"
        )


async def storm(cluster: swarmtui.Cluster, plan: StormPlan, say: Say) -> Summary:
    """Everything from the first write to the judgement. Raises Violation."""
    record = Record()
    rng = random.Random(f"nemesis {plan.seed}")
    nemesis = Nemesis(cluster, random.Random(f"faults {plan.seed}"), say)
    keys = [f"key-{n}" for n in range(1, plan.keys + 1)]
    clients = [Client(cluster, record, f"c{n}", random.Random(rng.random()), keys) for n in range(1, plan.clients + 1)]
    await whole(cluster)
    enough = trio.Event()
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.run, enough)
        nursery.start_soon(nemesis.run, enough)
        await trio.sleep(plan.seconds)
        enough.set()
    say("healed; waiting until the cluster is whole")
    await until("everybody is a manager again who is to be one", nemesis.restore)
    await whole(cluster)
    await final_reads(cluster, record, keys)
    same_everywhere(await contents(cluster), record)
    began = time.perf_counter()
    judged = judge_history(record.history)
    return Summary(plan, record, dict(nemesis.done), judged, time.perf_counter() - began)


# ------------------------------------------------------------------------------------------------------ afterwards


async def until(what: str, look: Callable[[], Awaitable[object]], patience_s: float = WHOLE_S) -> None:
    seen: object = None
    with trio.move_on_after(patience_s):
        while True:
            try:
                seen = await look()
            except ClientError as error:
                seen = error
            if seen is True:
                return
            await trio.sleep(LOOK_S)
    raise Violation(f"{what}: not within {patience_s:g} s; last seen {seen}")


async def whole(cluster: swarmtui.Cluster) -> None:
    """Everybody runs, one leads, and all have applied the same."""

    async def look() -> object:
        reports: list[NodeReport] = []
        for node in cluster.manifest.managers:
            report = await cluster.ask(node.name, GetStatus())
            assert isinstance(report, NodeReport)
            reports.append(report)
        leads = [report for report in reports if report.holds_quorum]
        applied = {(report.applied, report.store_index, report.term) for report in reports}
        if len(leads) == 1 and len(applied) == 1:
            return True
        return [
            f"{one.name} {one.raft_role} t{one.term} commit {one.commit} applied {one.applied}, peers "
            + " ".join(f"{peer.name}:{peer.state or '-'}:{'up' if peer.connected else 'down'}" for peer in one.peers)
            for one in reports
        ]

    await until("the cluster is whole", look)


async def final_reads(cluster: swarmtui.Cluster, record: Record, keys: list[str]) -> None:
    """Each key once more, read with a quorum: part of the history, so that a write lost at last shows as well."""
    for key in keys:
        began = trio.current_time()
        found = await cluster.kv.get(key)
        record.history.append(
            Operation(
                client="last",
                key=key,
                kind=Kind.GET,
                began=began,
                ended=trio.current_time(),
                ending=Ending.DONE,
                value=None if found is None else found.value,
                version=0 if found is None else found.version,
            )
        )


async def contents(cluster: swarmtui.Cluster) -> dict[str, dict[str, tuple[int, bytes]]]:
    """What each manager has, by its own store."""
    found: dict[str, dict[str, tuple[int, bytes]]] = {}
    for node in cluster.manifest.managers:
        answer = await cluster.ask(node.name, ListRecords((KeyValue.TABLE,), Consistency.STALE))
        assert isinstance(answer, Records)
        pairs = [pair for pair in answer.records if isinstance(pair, KeyValue)]
        found[node.name] = {pair.id: (pair.version, pair.value) for pair in pairs}
    return found


def same_everywhere(found: dict[str, dict[str, tuple[int, bytes]]], record: Record) -> None:
    (first, kept), *others = found.items()
    for name, other in others:
        if other != kept:
            differing = sorted(key for key in {*kept, *other} if kept.get(key) != other.get(key))
            raise Violation(f"{first} and {name} hold different values of {', '.join(differing)}")
    for one in record.history:
        if one.key.startswith(CREATED) and one.ending is Ending.DONE and kept.get(one.key) != (one.version, one.value):
            raise Violation(f"acknowledged, but {kept.get(one.key)} is there: {one}")
    impossible = sorted(record.refused_keys & set(kept))
    if impossible:
        raise Violation(f"refused, and there all the same: {', '.join(impossible)}")


def judge_history(history: list[Operation]) -> dict[str, int]:
    """Counts by verdict of the shared keys, all created ones as one."""
    pair = check_versions(history)
    if pair is not None:
        raise Violation(f"versions do not follow real time:\n  {pair[0]}\n  {pair[1]}")
    counts: dict[str, int] = {}
    for judgement in judge(history):
        if judgement.verdict is Verdict.VIOLATED:
            raise Violation(explain([one for one in history if one.key == judgement.key]))
        if not judgement.key.startswith(CREATED):
            counts[str(judgement.verdict)] = counts.get(str(judgement.verdict), 0) + 1
    return counts
