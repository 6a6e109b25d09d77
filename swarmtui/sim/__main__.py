"""`python -m swarmtui.sim --seed 7 --trace`, `python -m swarmtui.sim --seeds 1..1000`, `--quiet-managers 3`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

from swarmtui.sim.cluster import SimulatedCluster, SimulationFailure
from swarmtui.sim.parameters import Parameters


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if a seed failed; its number and the end of its trace are printed."""
    parser = argparse.ArgumentParser(
        prog="python -m swarmtui.sim", description="Clusters in virtual time, from a seed."
    )
    parser.add_argument("--seed", type=int, action="append", default=[], help="one run; may be repeated")
    parser.add_argument("--seeds", metavar="A..B", help="all runs from A to B")
    parser.add_argument("--trace", action="store_true", help="print every input and effect")
    parser.add_argument("--quiet", metavar="N", type=int, help="N managers without trouble for ten simulated minutes")
    options = parser.parse_args(arguments)
    if options.quiet:
        return run_quiet(options.quiet, options.trace)
    seeds: Iterable[int] = options.seed
    if options.seeds:
        first, _, last = options.seeds.partition("..")
        seeds = range(int(first), int(last or first) + 1)
    failed = [seed for seed in seeds or [1] if not run(seed, options.trace)]
    if failed:
        print(f"failed seeds: {' '.join(map(str, failed))}", file=sys.stderr)
    return 1 if failed else 0


def run(seed: int, trace: bool) -> bool:
    try:
        print(SimulatedCluster(seed, say=print if trace else None).run())
    except SimulationFailure as failure:
        print(failure, file=sys.stderr)
        return False
    return True


def run_quiet(nodes: int, trace: bool) -> int:
    """How fast simulated time passes when nothing happens."""
    began = time.perf_counter()
    outcome = SimulatedCluster(1, Parameters(nodes=nodes, duration_s=600.0), say=print if trace else None).run()
    taken_s = time.perf_counter() - began
    print(f"{outcome}; {outcome.simulated_s / 60 / taken_s:.1f} cluster-minutes per second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
