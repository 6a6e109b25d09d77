"""Fresh seeds for as long as asked or as many as asked, on as many cores as there are: one process a core, each with every n-th
seed."""

from __future__ import annotations

import gc
import multiprocessing
import os
import queue
import random
import time
from collections.abc import Callable
from multiprocessing.queues import Queue

import attrs

from swarmtui.sim.cluster import SimulatedCluster, SimulationFailure
from swarmtui.sim.themes import ATTESTED_FROM

REPORT_EVERY_S = 10.0
LOOK_S = 0.5
FRESH_SEEDS = 10**9  # from `ATTESTED_FROM` on
GARBAGE_OBJECTS = 50_000  # until the collector looks: a run makes much garbage, and hardly any of it in circles

Say = Callable[[str], None]


@attrs.frozen
class Ran:
    """One seed; `failure` is "" if it went well."""

    seed: int
    simulated_s: float
    failure: str = ""


@attrs.define
class Report:
    """`simulated_s` are cluster-seconds of all runs, `real_s` what they took on all cores together."""

    first: int
    ran: int = 0
    simulated_s: float = 0.0
    real_s: float = 0.0
    failures: list[Ran] = attrs.field(factory=list)

    def __str__(self) -> str:
        failed = " ".join(str(one.seed) for one in self.failures)
        return (
            f"{self.ran} seeds from {self.first} in {self.real_s:.0f} s, {self.simulated_s / 60:.0f} cluster-minutes"
            f"{', failed: ' + failed if failed else ', all well'}"
        )


def fresh_seed() -> int:
    return ATTESTED_FROM + random.SystemRandom().randrange(FRESH_SEEDS)


def soak(
    first: int, seconds: float, say: Say, jobs: int | None = None, failures_max: int = 5, runs: int | None = None
) -> Report:
    """Run seeds from `first` on until the time is up, so many have failed, or all of so many `runs` have ended. Every failure
    is said at once, with the command that replays it."""
    jobs = jobs or os.cpu_count() or 1
    began = time.monotonic()
    report = Report(first)
    end = None if runs is None else first + runs
    spawning = multiprocessing.get_context("spawn")
    results: Queue[Ran] = spawning.Queue()
    workers = [
        spawning.Process(target=_work, args=(first + job, end, jobs, seconds, results), daemon=True)
        for job in range(jobs)
    ]
    for worker in workers:
        worker.start()
    try:
        said_at = began
        while any(worker.is_alive() for worker in workers) or not results.empty():
            _take(results, report, say)
            now = time.monotonic()
            report.real_s = now - began
            if now - said_at > REPORT_EVERY_S:
                said_at = now
                say(str(report))
            if len(report.failures) >= failures_max:
                break
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    broken = [worker.exitcode for worker in workers if worker.exitcode not in (0, -15)]
    if broken:
        raise RuntimeError(f"a process of the simulator ended with {broken}")
    return report


def _take(results: Queue[Ran], report: Report, say: Say) -> None:
    try:
        ran = results.get(timeout=LOOK_S)
    except queue.Empty:
        return
    report.ran += 1
    report.simulated_s += ran.simulated_s
    if ran.failure:
        report.failures.append(ran)
        say(f"{ran.failure}\nagain: python -m swarmtui.sim --seed {ran.seed}")


def _work(seed: int, end: int | None, stride: int, seconds: float, results: Queue[Ran]) -> None:
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    ends_at = time.monotonic() + seconds
    parent = multiprocessing.parent_process()
    assert parent is not None
    while time.monotonic() < ends_at and (end is None or seed < end) and parent.is_alive():
        results.put(run_seed(seed))
        seed += stride


def run_seed(seed: int) -> Ran:
    cluster = SimulatedCluster(seed)
    try:
        return Ran(seed, cluster.run().simulated_s)
    except SimulationFailure as failure:
        return Ran(seed, cluster.now, str(failure))
