"""From measured runs to the tables that the README quotes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import attrs

from tests.bench.compare.loader import Answer, Order, client_name


@attrs.frozen
class Run:
    """One contender under one order: what it answered, and the share of a core that each process took."""

    contender: str
    order: Order
    answer: Answer
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        return self.answer.operations / self.order.seconds


@attrs.frozen
class Cell:
    """The medians of the runs of one contender under one order."""

    rate: float
    p50_ms: float
    p99_ms: float
    failures: int
    cpu: Mapping[str, float]


def cell_of(runs: Sequence[Run]) -> Cell:
    return Cell(
        statistics.median(run.rate for run in runs),
        statistics.median(run.answer.p50_ms for run in runs),
        statistics.median(run.answer.p99_ms for run in runs),
        sum(run.answer.failures for run in runs),
        {who: statistics.median(run.cpu[who] for run in runs) for who in runs[0].cpu},
    )


def cells(runs: Iterable[Run]) -> dict[tuple[str, Order], Cell]:
    """By contender and order, in the order in which they were first run."""
    grouped: dict[tuple[str, Order], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.contender, run.order), []).append(run)
    return {key: cell_of(group) for key, group in grouped.items()}


def lines(run_cells: Mapping[tuple[str, Order], Cell]) -> Iterable[str]:
    """One row a cell: rate, latencies, processor time, and what it is a multiple of."""
    yield "| order | of | a second | p50 ms | p99 ms | cores: leader, followers, client | swarmtui is |"
    yield "|---|---|---|---|---|---|---|"
    for (name, order), cell in run_cells.items():
        cpu = cell.cpu
        followers = "+".join(f"{share:.2f}" for who, share in cpu.items() if who.startswith("follower"))
        clients = [cpu[who] for who in map(client_name, range(order.clients)) if who in cpu]
        client = "+".join(f"{share:.2f}" for share in clients) or "in the leader"
        failures = f" ({cell.failures} failed)" if cell.failures else ""
        yield (
            f"| {title(order)} | {name} | {cell.rate:,.0f}{failures} | {cell.p50_ms:.2f} | {cell.p99_ms:.2f} "
            f"| {cpu['leader']:.2f}, {followers}, {client} | {ratio(run_cells, name, order)} |"
        )


def title(order: Order) -> str:
    connections = "one connection" if order.connections == 1 else f"{order.connections} connections"
    if order.clients > 1:
        connections += f" of {order.clients} clients"
    at = "" if order.to_leader else " at a follower"
    return f"{order.kind}{at}, {order.in_flight} in flight, {connections}"


def ratio(run_cells: Mapping[tuple[str, Order], Cell], name: str, order: Order) -> str:
    ours, theirs = run_cells.get(("swarmtui", order)), run_cells[name, order]
    if name == "swarmtui":
        return reads_to_writes(run_cells, order)
    if ours is None or not theirs.rate:
        return ""
    return f"**{ours.rate / theirs.rate:.2f}x**, p99 {ours.p99_ms / theirs.p99_ms:.2f}x"


def reads_to_writes(run_cells: Mapping[tuple[str, Order], Cell], order: Order) -> str:
    """Of a read: how many there are for one write of the same concurrency."""
    if order.kind != "read":
        return ""
    written = run_cells.get(("swarmtui", attrs.evolve(order, kind="write", to_leader=True)))
    return f"{run_cells['swarmtui', order].rate / written.rate:.1f}x its writes" if written else ""
