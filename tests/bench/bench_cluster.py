"""Figures of a real cluster on this machine: `python -m tests.bench.bench_cluster`. Nothing here is asserted.

Five managers and two workers, TLS and fsync on, defaults: how long `up -d` takes, how long writes stop when the leader is
killed with SIGKILL, how soon its tasks run elsewhere, how many writes a second, and what an idle node costs.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import trio

import swarmtui
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import Node, Task
from swarmtui.objects.specs import ContainerSpec, ReplicatedMode, RestartPolicy, ServiceSpec, TaskSpec
from swarmtui.objects.states import Availability, TaskState
from swarmtui.wire.node_calls import Fate

KILLS = 10
WRITE_SECONDS = 4.0
IDLE_SECONDS = 15.0
LIMIT_S = 60.0
SLEEP = ("sleep", "3600")
FILE = '[cluster]\nname = "bench"\nmanagers = 5\nworkers = 2\n'


def command(directory: Path, *words: str) -> float:
    """Run a command of swarmtui; returns the seconds it took."""
    began = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(Path(swarmtui.__file__).parents[1])}
    words = (sys.executable, "-m", "swarmtui", *words)
    subprocess.run(words, cwd=directory, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def spec(name: str, replicas: int) -> ServiceSpec:
    template = TaskSpec(ContainerSpec("sleep:bench", SLEEP), restart_policy=RestartPolicy(delay_ns=0))
    return ServiceSpec(name, task_template=template, mode=ReplicatedMode(replicas))


async def until(look: Callable[[], Awaitable[bool]]) -> float:
    """Seconds until `look` is true."""
    began = time.perf_counter()
    with trio.fail_after(LIMIT_S):
        while not await look():
            await trio.sleep(0.005)
    return time.perf_counter() - began


async def running(cluster: swarmtui.Cluster, service: str, elsewhere_than: str = "") -> int:
    tasks = [task for task in (await cluster.records("task")).records if isinstance(task, Task)]
    return sum(
        task.service_name == service
        and task.status.state is TaskState.RUNNING
        and task.desired_state is TaskState.RUNNING
        and task.node_id != elsewhere_than
        for task in tasks
    )


async def acknowledged(cluster: swarmtui.Cluster, key: str) -> bool:
    (outcome,) = await cluster.propose(Transaction((Put(key, b"x" * 256),)))
    return outcome.fate is Fate.DONE


async def failovers(cluster: swarmtui.Cluster) -> None:
    await cluster.services.create("web", spec=spec("web", 7))
    await until(lambda: is_count(cluster, "web", 7))
    gaps, moves = [], []
    for number in range(KILLS):
        status = await cluster.status()
        victim = next(node for node in status.nodes if node.name == status.leader)
        assert victim.pid is not None
        other = next(node.name for node in cluster.manifest.managers if node.name != victim.name)
        async with swarmtui.connect(cluster.directory) as survivor:
            survivor.leader = other  # through another manager, as the figure says
            await survivor.report(other, 2.0)
            os.kill(victim.pid, signal.SIGKILL)
            began = time.perf_counter()
            while not await acknowledged(survivor, f"gap-{number}"):
                await trio.sleep(0.001)
            gaps.append(time.perf_counter() - began)
            await until(lambda victim=victim: is_elsewhere(cluster, victim.id, 7))
            moves.append(time.perf_counter() - began)
        await cluster.host.power(victim.name, "start")
        await until(lambda victim=victim: is_ready(cluster, victim.id))
    report("leader killed to the next acknowledged write, ms", [gap * 1000 for gap in gaps])
    report("leader killed to its tasks running elsewhere, ms", [move * 1000 for move in moves])
    await cluster.services.remove("web")


async def is_count(cluster: swarmtui.Cluster, service: str, count: int) -> bool:
    return await running(cluster, service) == count


async def is_elsewhere(cluster: swarmtui.Cluster, node_id: str, count: int) -> bool:
    return await running(cluster, "web", node_id) == count


async def is_ready(cluster: swarmtui.Cluster, node_id: str) -> bool:
    nodes = (await cluster.records("node")).records
    return any(isinstance(node, Node) and node.id == node_id and node.status.state == "ready" for node in nodes)


async def writes(cluster: swarmtui.Cluster) -> None:
    for in_flight in (1, 10, 100, 1000):
        latencies: list[float] = []
        end = time.perf_counter() + WRITE_SECONDS

        async def writer(number: int, end: float = end, latencies: list[float] = latencies) -> None:
            while (began := time.perf_counter()) < end:
                if await acknowledged(cluster, f"key-{number}-{len(latencies) % 10}"):
                    latencies.append(time.perf_counter() - began)

        async with trio.open_nursery() as nursery:
            for number in range(in_flight):
                nursery.start_soon(writer, number)
        latencies.sort()
        rate = len(latencies) / WRITE_SECONDS
        p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
        print(
            f"writes of 256 B, {in_flight:4} in flight: {rate:7.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True
        )


async def services(cluster: swarmtui.Cluster) -> None:
    starts = []
    for number in range(5):
        began = time.perf_counter()
        await cluster.services.create(f"one{number}", spec=spec(f"one{number}", 1))
        await until(lambda number=number: is_count(cluster, f"one{number}", 1))
        starts.append((time.perf_counter() - began) * 1000)
        await cluster.services.remove(f"one{number}")
    report("one replica from create to running, ms", starts)
    await cluster.services.create("many", spec=spec("many", 1))
    await until(lambda: is_count(cluster, "many", 1))
    began = time.perf_counter()
    await cluster.services.scale("many", 50)
    await until(lambda: is_count(cluster, "many", 50))
    print(f"1 to 50 replicas: {time.perf_counter() - began:.2f} s")
    drained = cluster.manifest.nodes[-1]
    began = time.perf_counter()
    await cluster.nodes.update(drained.name, availability=Availability.DRAIN)

    async def is_drained() -> bool:
        return await running(cluster, "many", drained.id) == 50

    await until(is_drained)
    print(f"a node with 7 of 50 tasks drained: {time.perf_counter() - began:.2f} s")
    await cluster.nodes.update(drained.name, availability=Availability.ACTIVE)
    await cluster.services.remove("many")


async def idle(cluster: swarmtui.Cluster) -> None:
    status = await cluster.status()
    processes = {node: psutil.Process(node.pid) for node in status.nodes if node.pid}
    before = {node: sum(process.cpu_times()[:2]) for node, process in processes.items()}
    await trio.sleep(IDLE_SECONDS)
    for node, process in processes.items():
        share = (sum(process.cpu_times()[:2]) - before[node]) / IDLE_SECONDS * 100
        memory = process.memory_info().rss / 1e6
        print(f"idle {node.name} {node.state:9}: {share:.2f} % of a core, {memory:.0f} MB resident")


def report(what: str, figures: list[float]) -> None:
    print(
        f"{what}: median {statistics.median(figures):.0f}, min {min(figures):.0f}, max {max(figures):.0f}", flush=True
    )


async def measure(directory: Path) -> None:
    async with swarmtui.connect(directory) as cluster:
        await failovers(cluster)
        await services(cluster)
        await writes(cluster)
    async with swarmtui.connect(directory) as cluster:
        await idle(cluster)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # or seven nodes would be left behind
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "cluster.toml").write_text(FILE)
        print(f"load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        try:
            print(f"up -d, five managers and two workers, new: {command(directory, 'up', '-d'):.2f} s", flush=True)
            trio.run(measure, directory)
            print(f"down: {command(directory, 'down'):.2f} s")
            print(f"up -d, resumed: {command(directory, 'up', '-d'):.2f} s")
        finally:
            command(directory, "down")


if __name__ == "__main__":
    main()
