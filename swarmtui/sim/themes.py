"""Runs with a theme: what is rare in a run where everything is drawn alike shall happen in tens of a thousand runs.

Seeds below `THEMED_FROM` are drawn as they always were, so that those that failed once tell the same story for ever. From
there on a second stream of the seed decides what the run is about, turns up what belongs to it, and lays ambushes
(`ambush`): faults that wait for a moment that is rare by itself. From `ATTESTED_FROM` on clients have some of their reads
attested, and more runs have clients.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from swarmtui.sim.parameters import Parameters, draw_parameters, scheduled

THEMED_FROM = 10**9
ATTESTED_FROM = 2 * 10**9
LOST_MAJORITY_SHARE = 0.1  # of runs without services end in a new epoch


def parameters_of(seed: int) -> Parameters:
    """What this seed is like."""
    drawn = draw_parameters(seed)
    if seed < THEMED_FROM:
        return drawn
    rng = random.Random(f"theme {seed}")
    theme = rng.choice(THEMES)
    themed = drawn if theme is None else theme(attrs.evolve(drawn, services=0), rng)
    themed = attrs.evolve(themed, ambushes=rng.choice([0.1, 0.3, 0.6, 1.0]))
    if seed >= ATTESTED_FROM:
        themed = _attested(themed, random.Random(f"attested {seed}"))
    end = random.Random(f"end {seed}")
    if themed.services or end.random() > LOST_MAJORITY_SHARE:
        return themed
    return attrs.evolve(
        themed, loses_majority=True, with_store=True, segment_bytes=themed.segment_bytes or end.choice([4096, 65536])
    )


def _attested(themed: Parameters, rng: random.Random) -> Parameters:
    """A third of those that have no clients get some."""
    share = rng.choice([0.2, 0.5, 0.9])
    if not themed.clients and rng.random() < 1 / 3:
        themed = attrs.evolve(themed, clients=rng.choice([2, 4]), with_store=True)
    return attrs.evolve(themed, attested=share)


def _members(drawn: Parameters, rng: random.Random) -> Parameters:
    """Members come and go all the time, often several at once, by way of snapshots as often as by the log."""
    return attrs.evolve(
        drawn,
        nodes=rng.choice([2, 3, 3, 4, 5]),
        changes_rate=rng.uniform(2.0, 8.0),
        changes_together=rng.choice([0.2, 0.8]),
        transfers_rate=rng.choice([0.0, 0.5, 2.0]),
        snapshot_entries=rng.choice([3, 10, 10, 40]),
    )


def _joint(drawn: Parameters, rng: random.Random) -> Parameters:
    """Every change is joint, and stays so for long: disks and links are slow, and leaders come and go."""
    return attrs.evolve(
        _members(drawn, rng),
        changes_together=1.0,
        options=attrs.evolve(drawn.options, keep_entries=rng.choice([0, 0, 50]), keep_bytes_max=0),
        snapshot_entries=rng.choice([10, 1000, 1000]),
        crashes_rate=rng.uniform(0.5, 3.0),
        network=attrs.evolve(drawn.network, delay_mean_s=rng.choice([0.01, 0.03])),
        disk=attrs.evolve(drawn.disk, sync_mean_s=rng.choice([0.01, 0.03])),
    )


def _snapshots(drawn: Parameters, rng: random.Random) -> Parameters:
    """Who was away, or not heard, for a moment gets a snapshot, in many pieces, while everybody reads."""
    options = attrs.evolve(
        drawn.options,
        keep_entries=rng.choice([0, 1]),
        keep_bytes_max=0,
        snapshot_chunk_bytes=rng.choice([100, 300]),
        reads_waiting_max=1000,
        inflight_messages_max=rng.choice([4, 64, 64]),
        inflight_bytes_max=1_000_000,
    )
    return attrs.evolve(
        drawn,
        options=options,
        nodes=rng.choice([3, 3, 4, 5]),
        snapshot_entries=rng.choice([1, 3, 10]),
        network=attrs.evolve(drawn.network, loss=rng.choice([drawn.network.loss, 0.1, 0.2])),
        proposals_rate=rng.choice([30.0, 100.0]),
        reads_rate=rng.uniform(10.0, 40.0),
        one_way_rate=rng.uniform(0.5, 3.0),
        crashes_rate=rng.uniform(0.5, 2.0),
        partitions_rate=rng.uniform(0.5, 2.0),
    )


def _coups(drawn: Parameters, rng: random.Random) -> Parameters:
    """Leaders are overthrown with entries, configurations among them, that nobody else has."""
    return attrs.evolve(
        drawn,
        nodes=rng.choice([3, 4, 5, 5]),
        coups_rate=rng.uniform(1.0, 3.0),
        hints_rate=rng.uniform(1.0, 10.0),
        transfers_rate=rng.uniform(0.5, 2.0),
        changes_rate=rng.uniform(1.0, 5.0),
        changes_together=rng.choice([0.2, 0.8]),
        pauses_rate=rng.uniform(0.2, 1.0),
    )


def _roles(drawn: Parameters, rng: random.Random) -> Parameters:
    """An operator promotes and demotes nodes, whose seats the manager's own loop gives and takes."""
    return attrs.evolve(
        scheduled(drawn, 1),
        nodes=rng.choice([3, 3, 4, 5]),
        roles_rate=rng.uniform(0.3, 2.0),
        snapshot_entries=rng.choice([10, 40, 1000]),
    )


def _copies(drawn: Parameters, rng: random.Random) -> Parameters:
    """Directories are copied, and put back to what they were some starts ago."""
    return attrs.evolve(
        drawn,
        nodes=rng.choice([3, 3, 4, 5]),
        segment_bytes=rng.choice([4096, 65536]),
        copies_rate=rng.uniform(3.0, 20.0),
        crashes_rate=rng.uniform(0.5, 3.0),
        kills_rate=rng.uniform(0.0, 2.0),
        fault_s=rng.choice([0.3, 1.0]),
    )


Theme = Callable[[Parameters, random.Random], Parameters]
THEMES: tuple[Theme | None, ...] = (None, None, None, _members, _joint, _snapshots, _coups, _coups, _roles, _copies)
