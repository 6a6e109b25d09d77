"""`python -m tests.nemesis [--seconds 60] [--seed N] [--managers 5] [--keep DIR]`: real processes, real faults, one judgement.

Exit code 1 if a promise was broken. The same seed draws the same faults; what they meet depends on the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import trio

import swarmtui
from tests.cluster.conftest import RealCluster, ended
from tests.nemesis.storm import StormPlan, Summary, Violation, storm


def run(plan: StormPlan, directory: Path, quiet: bool = False) -> Summary:
    """A cluster of its own in this directory, of restless threads, ended whatever comes. Raises Violation."""
    real = RealCluster(directory)
    real.make_restless()
    began = time.monotonic()

    def say(what: str) -> None:
        if not quiet:
            print(f"{time.monotonic() - began:7.2f} s  {what}", flush=True)

    async def weather() -> Summary:
        async with swarmtui.connect(directory) as cluster:
            return await storm(cluster, plan, say)

    try:
        real.up(plan.file)
        summary = trio.run(weather)
        if words := real.last_words():
            raise Violation("\n".join(f"{name} ended by itself:\n{why}" for name, why in words.items()))
        return summary
    finally:
        ended(real)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nemesis", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults")
    parser.add_argument("--seed", type=int, help="of what is drawn; a fresh one if none is given")
    parser.add_argument("--managers", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keep", metavar="DIR", type=Path, help="an empty directory for the cluster, kept for a look")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    plan = StormPlan(seed=seed, seconds=options.seconds, managers=options.managers, clients=options.clients)
    print(
        f"nemesis seed {seed}; again: python -m tests.nemesis --seed {seed} --seconds {options.seconds:g}", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="swarmtui-nemesis-") as directory:
        try:
            print(run(plan, options.keep or Path(directory)))
        except Violation as violation:
            print(f"VIOLATED: {violation}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
