"""What a run is like: every figure is itself drawn from the seed, so that quiet, lossy, slow and wild runs all occur.

The order of the draws in `draw_parameters` is a contract: all of them take from one stream, so a draw that is added, taken
away, moved, or given another number of choices changes every figure behind it, and with them what each seed that was kept
(tests/sim/seeds.txt) means: it would run green and show nothing. The order is that of the lines there, not of the fields
of the classes; `sometimes` draws twice whatever comes of it. What is new stays at its default here and is drawn in
`themes`, from a stream of its own, for the seeds from `THEMED_FROM` on.
"""

from __future__ import annotations

import random

import attrs

from swarmtui.raft.options import RaftOptions

DURATION_MIN_S = 1.0  # of trouble
DURATION_MAX_S = 8.0
DURATION_SKEW = 2.0  # most runs are short, so that there are many; a tenth of them go on for more than 6.7 s


@attrs.frozen(kw_only=True)
class NetworkParameters:
    delay_min_s: float = 0.0005
    delay_mean_s: float = 0.001  # exponential, on top of the minimum
    loss: float = 0.0  # share of messages
    duplication: float = 0.0
    keeps_order: bool = True  # as TCP does; else every message takes its own time
    replayed: float = 0.0  # share of messages that come once more, seconds later
    through_wire: bool = False  # every message is written as a frame and read again


@attrs.frozen(kw_only=True)
class DiskParameters:
    sync_min_s: float = 0.0005
    sync_mean_s: float = 0.001
    stall_chance: float = 0.0  # share of syncs that take up to `stall_max_s`
    stall_max_s: float = 0.0


@attrs.frozen(kw_only=True)
class Parameters:
    """Rates are events per simulated second, over the whole cluster."""

    nodes: int = 3
    duration_s: float = 10.0
    options: RaftOptions = RaftOptions()
    network: NetworkParameters = NetworkParameters()
    disk: DiskParameters = DiskParameters()
    proposals_rate: float = 0.0
    payload_bytes_max: int = 64
    reads_rate: float = 0.0
    transfers_rate: float = 0.0
    crashes_rate: float = 0.0
    partitions_rate: float = 0.0
    one_way_rate: float = 0.0
    pauses_rate: float = 0.0
    hints_rate: float = 0.0
    coups_rate: float = 0.0
    disk_failures_rate: float = 0.0
    power_cuts_rate: float = 0.0
    kills_rate: float = 0.0
    midway_crashes_rate: float = 0.0
    clogs_rate: float = 0.0
    resets_rate: float = 0.0
    tick_bursts_rate: float = 0.0
    damages_rate: float = 0.0
    copies_rate: float = 0.0  # of directories that are copied, or put back to an older copy
    changes_rate: float = 0.0  # of the members
    changes_together: float = 0.0  # share of them that certainly are several at once
    ambushes: float = 0.0  # share of rare moments at which something else goes wrong
    fault_s: float = 1.0  # mean time until a fault is healed
    clock_drift: float = 0.0  # clocks run at between 2^-this and 2^this
    apply_late_s: float = 0.0  # entries wait up to so long before they are applied
    tick_late_s: float = 0.0  # ticks come up to this late
    batching: float = 0.0  # share of inputs that are not drained at once but together with the next
    snapshot_entries: int = 1000  # a node takes a snapshot each so many applied entries
    clients: int = 0  # of kv, whose histories are judged
    client_rate: float = 10.0  # operations of one, while it does not wait
    client_patience_s: float = 1.0
    keys: int = 2
    attested: float = 0.0  # share of their reads that ask a quorum by themselves
    services: int = 0  # scheduled by the manager's loops, with simulated agents
    roles_rate: float = 0.0  # of promotions and demotions, where there are services
    sessions: float = 0.0  # share of clients that have one
    wall_speed: float = 1.0  # of the time in entries, so that idle sessions are forgotten within a run
    loses_majority: bool = False  # when all is over, and begins a new epoch; on the store and the real storage
    with_store: bool = False  # the store as the state machine; else a checksum only
    segment_bytes: int = 0  # the real storage beneath, in segments of this size; 0: a model of it only


def draw_parameters(seed: int) -> Parameters:
    """A wild run: each kind of trouble is present in about half of the seeds, each to its own degree."""
    rng = random.Random(f"parameters {seed}")

    def sometimes(chance: float, low: float, high: float) -> float:
        present, value = rng.random() < chance, rng.uniform(low, high)
        return value if present else 0.0

    heartbeat_s = rng.choice([0.05, 0.1])
    options = RaftOptions(
        heartbeat_s=heartbeat_s,
        election_timeout_s=heartbeat_s * rng.choice([3, 5, 8]),
        hurry=rng.random() < 0.8,
        append_bytes_max=rng.choice([64, 400, 4000, 1_000_000]),
        inflight_messages_max=rng.choice([1, 2, 4, 64]),
        inflight_bytes_max=rng.choice([200, 5000, 1_000_000]),
        uncommitted_bytes_max=rng.choice([2000, 50_000, 1_000_000]),
        snapshot_chunk_bytes=rng.choice([100, 300, 5000]),
        keep_entries=rng.choice([0, 1, 5, 50]),
        keep_bytes_max=rng.choice([0, 500, 100_000]),
        reads_waiting_max=rng.choice([3, 1000]),
    )
    network = NetworkParameters(
        delay_min_s=rng.choice([0.0, 0.0005, 0.005]),
        delay_mean_s=rng.choice([0.0005, 0.002, 0.02]),
        loss=sometimes(0.5, 0.0, 0.2),
        duplication=sometimes(0.5, 0.0, 0.2),
        keeps_order=rng.random() < 0.7,
        replayed=sometimes(0.3, 0.0, 0.05),
        through_wire=rng.random() < 0.15,
    )
    disk = DiskParameters(
        sync_min_s=rng.choice([0.0, 0.0005]),
        sync_mean_s=rng.choice([0.0002, 0.002, 0.02]),
        stall_chance=sometimes(0.3, 0.001, 0.02),
        stall_max_s=rng.uniform(0.1, 3.0),
    )
    with_store, segment_bytes = rng.random() < 0.3, rng.choice([0, 0, 0, 4096, 65536])
    clients = rng.choice([0, 0, 2, 4, 8])
    drawn = Parameters(
        nodes=rng.choice([1, 2, 3, 3, 3, 4, 5, 5]),
        duration_s=DURATION_MIN_S + (DURATION_MAX_S - DURATION_MIN_S) * rng.random() ** DURATION_SKEW,
        options=options,
        network=network,
        disk=disk,
        proposals_rate=rng.choice([5.0, 30.0, 100.0]),
        payload_bytes_max=rng.choice([8, 64, 600]),
        reads_rate=sometimes(0.6, 1.0, 20.0),
        transfers_rate=sometimes(0.3, 0.1, 2.0),
        crashes_rate=sometimes(0.6, 0.1, 3.0),
        partitions_rate=sometimes(0.5, 0.1, 2.0),
        one_way_rate=sometimes(0.4, 0.1, 2.0),
        pauses_rate=sometimes(0.3, 0.1, 1.0),
        hints_rate=sometimes(0.4, 0.2, 10.0),
        coups_rate=sometimes(0.4, 0.1, 1.0),
        disk_failures_rate=sometimes(0.3, 0.05, 0.5),
        power_cuts_rate=sometimes(0.2, 0.05, 0.3),
        fault_s=rng.choice([0.05, 0.3, 1.0, 2.0]),
        clock_drift=rng.choice([0.0, 0.0, 0.0, 0.1, 0.3, 1.0]),
        tick_late_s=sometimes(0.4, 0.0, 0.05),
        batching=sometimes(0.5, 0.0, 0.8),
        snapshot_entries=rng.choice([3, 10, 40, 1000]),
        with_store=with_store or clients > 0,
        segment_bytes=segment_bytes,
        clients=clients,
        client_rate=rng.choice([2.0, 10.0, 50.0]),
        client_patience_s=rng.choice([0.2, 1.0, 4.0]),
        keys=rng.choice([1, 2, 5]),
        kills_rate=sometimes(0.4, 0.1, 2.0),
        midway_crashes_rate=sometimes(0.4, 0.1, 3.0),
        clogs_rate=sometimes(0.3, 0.1, 2.0),
        resets_rate=sometimes(0.4, 0.1, 5.0),
        tick_bursts_rate=sometimes(0.2, 0.1, 2.0),
        damages_rate=sometimes(0.3, 0.1, 2.0),
        apply_late_s=sometimes(0.3, 0.0, 0.1),
        sessions=rng.choice([0.0, 0.5, 1.0]),
        wall_speed=rng.choice([1.0, 3000.0]),
        changes_rate=sometimes(0.4, 0.2, 4.0),
    )
    services = rng.choice([0, 0, 0, 0, 1, 2])
    return scheduled(drawn, services) if services else drawn


def scheduled(drawn: Parameters, services: int) -> Parameters:
    """Scheduling needs time, and machines that stay what they are."""
    return attrs.evolve(
        drawn,
        services=services,
        with_store=True,
        duration_s=drawn.duration_s * 2,
        changes_rate=0.0,
        damages_rate=0.0,
        options=attrs.evolve(drawn.options, uncommitted_bytes_max=1_000_000),
        proposals_rate=min(drawn.proposals_rate, 5.0),
    )
