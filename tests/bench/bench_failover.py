"""How long writes stop when the leader is killed: `python -m tests.bench.bench_failover [--managers 3,5] [--kills 10]`.

Defaults: TLS and fdatasync on, no workers, no services. Nothing here is asserted. Two figures a kill, each with the
milestones of the managers that are left (from their events; one machine, one clock):

- *idle*: one client that is connected to the leader; the leader gets SIGKILL, and the client writes one key again and
  again, from that moment on, until one write is acknowledged: SIGKILL to that acknowledgement;
- *loaded*: a hundred tasks of one client write without a pause; the longest time around the SIGKILL in which no write at
  all was acknowledged.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

import attrs
import trio

import swarmtui
from swarmtui.client.errors import ClientError
from swarmtui.objects.events import Event
from swarmtui.wire.node_calls import Observe
from tests.bench.bench_cluster import command, report

WRITERS = 100
LOADED_BEFORE_S = 1.0
LOADED_AFTER_S = 1.5
EVENTS_QUIET_S = 0.2
CAUGHT_UP_ENTRIES = 50  # a node that was started again has caught up when it misses fewer
LIMIT_S = 30.0
VALUE = b"x" * 256


@attrs.frozen
class Failover:
    """`gap_s` is the figure; `milestones` are (milliseconds after the SIGKILL, node, text)."""

    gap_s: float
    milestones: tuple[tuple[float, str, str], ...]
    outcomes: str = ""


async def acknowledged(cluster: swarmtui.Cluster, key: str, fates: dict[str, int]) -> bool:
    try:
        await cluster.kv.put(key, VALUE)
    except ClientError as error:
        fates[type(error).__name__] = fates.get(type(error).__name__, 0) + 1
        return False
    return True


async def milestones(cluster: swarmtui.Cluster, killed_at: float) -> tuple[tuple[float, str, str], ...]:
    """What the managers that are left tell of the election."""
    told: list[Event] = []

    async def listen(name: str) -> None:
        with contextlib.suppress(ClientError):
            async for event in cluster.stream(name, Observe(after_seq=-1, marks=False)):
                if isinstance(event, Event) and event.time >= killed_at and event.kind in ("election", "raft"):
                    told.append(event)  # noqa: PERF401 - what was told before the stream broke counts too

    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + EVENTS_QUIET_S
        for manager in cluster.manifest.managers:
            nursery.start_soon(listen, manager.name)
    told.sort(key=lambda event: event.time)
    return tuple(((event.time - killed_at) * 1000, event.node, event.text) for event in told)


async def leader_pid(cluster: swarmtui.Cluster) -> tuple[str, int]:
    """Who leads, once everybody follows it and has caught up."""
    with trio.fail_after(LIMIT_S):
        while True:
            status = await cluster.status()
            leader = next((node for node in status.nodes if node.name == status.leader), None)
            if leader is not None and leader.pid is not None:
                settled = all(
                    node.term == leader.term and (node.applied or 0) >= (leader.applied or 0) - CAUGHT_UP_ENTRIES
                    for node in status.nodes
                )
                if settled and status.quorum.reachable == len(status.nodes):
                    return leader.name, leader.pid
            await trio.sleep(0.05)


async def idle_failover(directory: Path) -> tuple[str, Failover]:
    async with swarmtui.connect(directory) as cluster:
        name, pid = await leader_pid(cluster)
        fates: dict[str, int] = {}
        await acknowledged(cluster, "before", fates)
        killed_at, began = time.time(), time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        while not await acknowledged(cluster, "after", fates):
            await trio.lowlevel.checkpoint()
        gap_s = time.perf_counter() - began
        await trio.sleep(0.05)
        return name, Failover(gap_s, await milestones(cluster, killed_at), str(fates))


async def loaded_failover(directory: Path) -> tuple[str, Failover]:
    async with swarmtui.connect(directory) as cluster:
        name, pid = await leader_pid(cluster)
        fates: dict[str, int] = {}
        answers: list[float] = []

        async def writer(number: int) -> None:
            count = 0
            while True:
                if await acknowledged(cluster, f"key-{number}-{count % 10}", fates):
                    answers.append(time.perf_counter())
                count += 1

        async with trio.open_nursery() as nursery:
            for number in range(WRITERS):
                nursery.start_soon(writer, number)
            await trio.sleep(LOADED_BEFORE_S)
            killed_at, began = time.time(), time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            await trio.sleep(LOADED_AFTER_S)
            nursery.cancel_scope.cancel()
        around = [answer for answer in answers if answer > began - 0.05]
        gap_s, after = max((later - earlier, later - began) for earlier, later in itertools.pairwise(around))
        print(f"    the longest pause ended {after * 1000:.1f} ms after the SIGKILL; {len(answers)} writes", flush=True)
        return name, Failover(gap_s, await milestones(cluster, killed_at), str(fates))


async def measure(directory: Path, managers: int, kills: int, shapes: list[str], verbose: bool) -> None:
    for shape in shapes:
        gaps: list[float] = []
        for _ in range(kills):
            name, failover = await (idle_failover if shape == "idle" else loaded_failover)(directory)
            gaps.append(failover.gap_s * 1000)
            print(
                f"  {shape}, {name} killed: {failover.gap_s * 1000:.1f} ms, not done: {failover.outcomes}", flush=True
            )
            if verbose:
                for at_ms, node, text in failover.milestones:
                    print(f"      {at_ms:7.1f} {node} {text}")
            async with swarmtui.connect(directory) as cluster:
                await cluster.host.power(name, "start")
        report(f"{managers} managers, {shape}: SIGKILL of the leader, writes stopped for, ms", gaps)
        print(f"    all: {' '.join(f'{gap:.0f}' for gap in sorted(gaps))}, median {statistics.median(gaps):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--managers", default="3,5", help="sizes of clusters, with commas")
    parser.add_argument("--kills", type=int, default=10, help="of each shape")
    parser.add_argument("--shapes", default="idle,loaded")
    parser.add_argument("--verbose", action="store_true", help="every milestone of every kill")
    given = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", flush=True)
    for managers in map(int, given.managers.split(",")):
        with tempfile.TemporaryDirectory(prefix="failover-") as name:
            directory = Path(name)
            (directory / "cluster.toml").write_text(
                f'[cluster]\nname = "failover"\nmanagers = {managers}\nworkers = 0\n'
            )
            command(directory, "up", "-d")
            try:
                trio.run(measure, directory, managers, given.kills, given.shapes.split(","), given.verbose)
            finally:
                command(directory, "down")


if __name__ == "__main__":
    main()
