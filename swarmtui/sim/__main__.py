"""`python -m swarmtui.sim --seed 7` replays one run line by line; `--soak --minutes 5` runs fresh ones on all cores."""

from __future__ import annotations

import argparse
import sys
import time

from swarmtui.sim.cluster import SimulatedCluster, SimulationFailure
from swarmtui.sim.parameters import Parameters
from swarmtui.sim.soak import fresh_seed, soak
from swarmtui.sim.themes import parameters_of


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if a seed failed; its number and the end of its trace are printed."""
    parser = argparse.ArgumentParser(
        prog="python -m swarmtui.sim", description="Clusters in virtual time, from a seed."
    )
    parser.add_argument("--seed", type=int, help="one run, with every input and effect")
    parser.add_argument("--seeds", metavar="A..B", help="all runs from A to B, one line each")
    parser.add_argument("--trace", action="store_true", help="every input and effect, also of --seeds and --quiet")
    parser.add_argument("--brief", action="store_true", help="of --seed only what came of it")
    parser.add_argument("--quiet", metavar="N", type=int, help="N managers without trouble for ten simulated minutes")
    parser.add_argument("--soak", action="store_true", help="fresh seeds on all cores, as long as --minutes")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--first", type=int, help="the first seed of --soak; a fresh one if none is given")
    parser.add_argument("--jobs", type=int, help="processes of --soak; as many as there are cores if none is given")
    options = parser.parse_args(arguments)
    if options.quiet:
        return run_quiet(options.quiet, options.trace)
    if options.soak:
        return run_soak(options.first, options.minutes * 60, options.jobs)
    if options.seeds:
        first, _, last = options.seeds.partition("..")
        failed = [seed for seed in range(int(first), int(last or first) + 1) if not run(seed, options.trace)]
        if failed:
            print(f"failed seeds: {' '.join(map(str, failed))}", file=sys.stderr)
        return 1 if failed else 0
    seed = 1 if options.seed is None else options.seed
    if not options.brief:
        print(parameters_of(seed))
    return 0 if run(seed, not options.brief) else 1


def run(seed: int, trace: bool) -> bool:
    try:
        print(SimulatedCluster(seed, say=print if trace else None).run())
    except SimulationFailure as failure:
        print(failure.reason if trace else failure, file=sys.stderr)
        return False
    return True


def run_soak(first: int | None, seconds: float, jobs: int | None) -> int:
    report = soak(fresh_seed() if first is None else first, seconds, print, jobs)
    print(report)
    return 1 if report.failures else 0


def run_quiet(nodes: int, trace: bool) -> int:
    """How fast simulated time passes when nothing happens."""
    began = time.perf_counter()
    outcome = SimulatedCluster(1, Parameters(nodes=nodes, duration_s=600.0), say=print if trace else None).run()
    taken_s = time.perf_counter() - began
    print(f"{outcome}; {outcome.simulated_s / 60 / taken_s:.1f} cluster-minutes per second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
