"""S53 to S57 of docs/raft.md and what else can happen to a disk: each with its decided outcome.

| what                                                | outcome                                                              |
|-----------------------------------------------------|----------------------------------------------------------------------|
| a write or sync fails, once, and works again (S53)  | the process is done with the disk for good; only a new one looks again|
| the last frame is torn (S54)                        | cut off, with a note                                                  |
| a checksum is wrong anywhere else (S54)             | refused, naming file and place and how to join again                  |
| a crash between making a file and naming it (S55)   | the old state or the new one                                          |
| everybody loses power at once (S56)                 | all that was acknowledged is there, terms go on, somebody leads       |
| an older copy of the directory is put back (S57)    | refused, with what to do; else noticed by the leader (tests/raft)     |
| the disk is full                                    | no segment is begun that cannot be filled; what was promised stays    |
| the directory is used twice, or is another node's   | refused                                                               |
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from swarmtui.node.disk import Disk
from swarmtui.objects.codec import encode_json
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import Compact, HardState, Send, Write
from swarmtui.raft.inputs import CampaignAsked, Input, Proposed, Received, Tick, Written
from swarmtui.raft.log import Restored
from swarmtui.raft.options import RaftOptions
from swarmtui.storage.directory import BIRTH_FILE, open_node_directory
from swarmtui.storage.errors import DamagedLog, DirectoryInUse, DiskFailure, ForeignDirectory
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.seen import OlderDirectory, Seen, begin_start, beside, note_seen
from swarmtui.storage.simulated import SimulatedDisk
from swarmtui.storage.worker import DiskWorker

from .test_storage_directory import BIRTH

if TYPE_CHECKING:
    from .conftest import Node

NODE = Path("/node")
RAFT = Path("/node/raft")


def fail_once(disk: SimulatedDisk, what: str, number: int = errno.EIO) -> None:
    """The next operation of this kind fails; all others work, and so does the same one again."""

    def on_step(step: str, path: Path, length: int) -> None:
        if step == what:
            disk.on_step = None
            raise OSError(number, os.strerror(number))

    disk.on_step = on_step


# ------------------------------------------------------------------------------------------------------------------- S53


@pytest.mark.parametrize("what", ["write", "sync"])
def test_S53_disk_that_failed_once_is_never_written_again(node: Node, any_node: type[Node], what: str) -> None:
    """The kernel may have dropped the pages that the failed sync was about: a second sync that succeeds proves nothing."""
    node.write(node.run(2, 4), HardState(2, "n1", 1))
    fail_once(node.disk, what)
    with pytest.raises(DiskFailure, match="this node stops, start it again when the disk is well"):
        node.write(node.run(5, 6))
    before = node.disk.steps
    for attempt in (
        lambda: node.write(node.run(5, 6)),
        lambda: node.storage.compact(3),
        lambda: node.storage.write_many([node.make(node.run(5, 5))]),
    ):
        with pytest.raises(DiskFailure):
            attempt()
    assert node.disk.steps == before
    for fate in range(8):
        disk = node.disk.copy()
        disk.lose_power(random.Random(fate).random)
        restored = any_node(disk).open().restored
        assert [entry.index for entry in restored.entries] in ([1, 2, 3, 4], [1, 2, 3, 4, 5, 6])
        assert restored.hard_state.term == 2


async def test_S53_node_stops_and_reports_nothing_as_written(node: Node) -> None:
    reported: list[Input] = []

    async def installed(effect: object) -> None:
        raise AssertionError("nothing was installed")

    async with DiskWorker() as worker:
        disk = Disk(node.storage, node.storage.snapshots, worker, reported.append, reported.append, installed)
        fail_once(node.disk, "sync")
        disk.want(node.make(node.run(2, 3)))
        disk.want(Compact(1))
        disk.want(node.make(node.run(4, 5)))
        assert disk.begin(lambda: True) is None
        with pytest.raises(DiskFailure), trio.fail_after(5):
            await disk.run()
    assert reported == []


# ------------------------------------------------------------------------------------------------------------------- S54


def test_S54_torn_last_frame_is_cut_off_and_damage_before_a_whole_one_is_refused(
    node: Node, any_node: type[Node]
) -> None:
    path = node.directory / node.segments()[-1]
    node.write(node.run(2, 4))
    middle = len(node.disk.read(path).rstrip(b"\0")) + 31 & ~31
    node.write(node.run(5, 9, size=300))
    end = len(node.disk.read(path).rstrip(b"\0"))

    torn = node.disk.copy()
    sector = -(-middle // 512) * 512
    torn.damage(path, sector, bytes(min(512, end - sector)))
    survivor = any_node(torn)
    assert survivor.open().restored.entries[-1].index == 4
    assert survivor.storage.notes == [
        f"00000001.log: truncated at byte {middle} a frame of which the sector at {sector} was never written; it was "
        "never acknowledged"
    ]

    flipped = node.disk.copy()  # also the last frame, if no sector of it is missing: it may have been acknowledged
    flipped.flip(path, sector + 3, 2)
    with pytest.raises(DamagedLog, match="was written whole and does not agree with its checksum"):
        any_node(flipped).open()

    node.write(node.run(10, 10))  # a whole frame behind: what is wrong before it was acknowledged
    for damage in (lambda disk: disk.damage(path, sector, bytes(512)), lambda disk: disk.flip(path, sector + 3, 2)):
        disk = node.disk.copy()
        damage(disk)
        with pytest.raises(DamagedLog, match=r"00000001.log is damaged at byte .* a voter must not vote") as refused:
            any_node(disk).open()
        assert refused.value.offset == middle


# ------------------------------------------------------------------------------------------------------------------- S55


@pytest.mark.parametrize(
    ("what", "act"),
    [
        ("a segment", lambda node: node.write(node.run(5, 60, size=100))),
        ("a snapshot", lambda node: node.storage.snapshots.save(4, 1, node.configuration, [b"state" * 300])),
    ],
)
def test_S55_names_that_were_never_synced_leave_the_old_state_or_the_new(
    node: Node, any_node: type[Node], what: str, act: Callable[[Node], object]
) -> None:
    """Cut at every step, and of the names that were not synced any number had reached the disk."""
    node.write(node.run(2, 4))
    old = node.open().restored
    whole = any_node(node.disk.copy())
    whole.open()
    act(whole)
    new = whole.open().restored
    found = []
    fates = [*(random.Random(fate).random for fate in range(5)), lambda: 0.49]  # the last: every sector had reached it
    for step in range(1, 40):
        for fate in fates:
            disk = node.disk.copy()
            cut = any_node(disk)
            cut.open()
            count = 0

            def on_step(what: str, path: Path, length: int, step: int = step) -> None:
                nonlocal count
                count += 1
                if count == step:
                    raise KeyboardInterrupt

            disk.on_step = on_step
            try:
                act(cut)
            except KeyboardInterrupt:
                disk.on_step = None
                disk.lose_power(fate)
                found.append(any_node(disk).open().restored)
    assert found
    assert all(restored in (old, new) for restored in found)
    assert {restored == new for restored in found} == {True, False}


# ------------------------------------------------------------------------------------------------------------------- S56


class RealDisks:
    """Three cores, each with the real log on a disk of its own that can lose power; messages arrive at once."""

    def __init__(self, any_node: type[Node], seed: int) -> None:
        self.any_node = any_node
        self.random = random.Random(seed)
        self.now = 0.0
        configuration = any_node.configuration
        self.disks: dict[str, SimulatedDisk] = {}
        for member in configuration.voters:
            self.disks[member.id] = disk = SimulatedDisk()
            RaftStorage.create(RAFT, member.id, configuration, file_ops=disk, segment_bytes=4096)
        self.start()

    def start(self) -> None:
        self.storages = {
            id: RaftStorage.open(RAFT, id, file_ops=disk, segment_bytes=4096) for id, disk in self.disks.items()
        }
        self.cores = {id: self._core(id, storage.restored) for id, storage in self.storages.items()}
        self.lost: set[str] = set()

    def _core(self, id: str, restored: Restored) -> RaftCore:
        return RaftCore(
            node_id=id, cluster="c", options=RaftOptions(), restored=restored, draw=self.random.random, now=self.now
        )

    def settle(self, rounds: int = 1000) -> None:
        for _ in range(rounds):
            if not sum(self._carry_out(id) for id in self.cores):
                return

    def _carry_out(self, id: str) -> int:
        effects = self.cores[id].drain()
        for effect in effects:
            if isinstance(effect, Write):
                self.storages[id].write(effect)
                self.cores[id].feed(Written(effect.sequence), self.now)
            elif isinstance(effect, Send) and effect.message.target in self.cores:
                self.cores[effect.message.target].feed(Received(effect.message), self.now)
        return len(effects)

    def elect(self) -> RaftCore:
        for _ in range(200):
            self.settle()
            for core in self.cores.values():
                if core.role.kind == "leader" and core.log.commit == core.log.last:
                    return core
            id = min(self.cores, key=lambda id: self.cores[id].deadline or 1e9)
            self.now = max(self.now, self.cores[id].deadline or self.now)
            self.cores[id].feed(Tick(), self.now)
        raise AssertionError("nobody leads")

    def power_cut(self) -> None:
        """All of them, in the middle of a write that no majority has."""
        for disk in self.disks.values():
            disk.lose_power(self.random.random)
        self.now += 100.0
        self.start()


@pytest.mark.parametrize("seed", range(10))
def test_S56_power_cut_of_everybody_at_once_loses_nothing_acknowledged(any_node: type[Node], seed: int) -> None:
    cluster = RealDisks(any_node, seed)
    cluster.cores["n1"].feed(CampaignAsked(), 0.0)
    acknowledged: list[bytes] = []
    terms = dict.fromkeys(cluster.cores, 0)
    for cut in range(6):
        leader = cluster.elect()
        assert all(core.term >= terms[id] for id, core in cluster.cores.items())
        log = [entry.data for entry in leader.entries(1, leader.log.last)]
        assert [data for data in log if data in acknowledged] == acknowledged
        for number in range(cluster.random.randint(1, 8)):
            value = b"%d.%d " % (cut, number) + b"v" * cluster.random.choice([1, 600])
            leader.feed(Proposed(number, leader.term, (value,)), cluster.now)
            if cluster.random.random() < 0.8:
                cluster.settle()
                assert leader.log.commit == leader.log.last
                acknowledged.append(value)
            else:
                cluster.settle(rounds=cluster.random.randint(0, 1))
                break
        terms = {id: core.term for id, core in cluster.cores.items() if core.hard_state_is_durable}
        terms = {id: terms.get(id, 0) for id in cluster.cores}
        cluster.power_cut()


# ------------------------------------------------------------------------------------------------------------------- S57


def started(disk: SimulatedDisk, term: int = 1, commit: int = 1, last: int = 1, member: str = "n1") -> Seen:
    return begin_start(NODE, RAFT, Seen(member=member, term=term, commit=commit), last, disk)


def images(disk: SimulatedDisk) -> Callable[[], None]:
    """What lies in the directory now; to be put back later, beside what lies outside of it."""
    inside = {name: disk.read(RAFT / name) for name in disk.names(RAFT)}

    def put_back() -> None:
        for name in disk.names(RAFT):
            disk.unlink(RAFT / name)
        for name, data in inside.items():
            disk.create(RAFT / name, 0).write_at(data, 0)

    return put_back


def test_S57_copy_from_before_the_last_start_is_refused(node: Node) -> None:
    disk = node.disk
    assert started(disk).starts == 1
    put_back = images(disk)
    for number in range(2, 5):
        assert started(disk).starts == number
    put_back()
    with pytest.raises(OlderDirectory) as refused:
        started(disk)
    assert str(refused.value) == (
        "/node is older than when node last ran (it was started 1 times, and had been 4 times): a copy of it was put back, "
        "and it has forgotten entries and votes that others rely on; keep the other managers running and make a new "
        "manager of it: swarmtui node demote node, swarmtui start node, swarmtui node promote node"
    )
    with pytest.raises(OlderDirectory):  # nor at the next attempt
        started(disk)


@pytest.mark.parametrize(
    ("term", "last", "reason"),
    [(3, 20, "its term is 3, and had been 5"), (5, 19, "its log ends at index 19, and 20 had been committed")],
)
def test_S57_copy_from_this_very_start_is_refused_by_what_was_noted_since(
    node: Node, term: int, last: int, reason: str
) -> None:
    seen = started(node.disk)
    note_seen(NODE, Seen(member="n1", starts=seen.starts, term=5, commit=20), node.disk)
    with pytest.raises(OlderDirectory, match=reason):
        started(node.disk, term=term, last=last)
    assert started(node.disk, term=5, last=20).starts == 2


def test_S57_what_is_no_older_copy_is_believed(node: Node, any_node: type[Node]) -> None:
    disk = node.disk
    for _ in range(3):
        started(disk)
    moved = disk.copy()
    moved.unlink(beside(NODE))
    assert started(moved).starts == 4  # to another machine, where nothing lies beside it
    assert started(disk, member="n1.1").starts == 1  # a new membership of the same node begins with an empty log
    rubbish = disk.copy()
    rubbish.create(beside(NODE), 0).write_at(b"{rubbish", 0)
    assert started(rubbish, member="n1.1").starts == 2


def test_S57_power_cut_while_it_is_noted_how_far_it_came_forgets_no_start(node: Node) -> None:
    """Found by the simulator: the note took the place of the count, and its name was durable before its content."""
    for fate in range(8):
        disk = node.disk.copy()
        started(disk)
        put_back = images(disk)
        seen = started(disk)
        note_seen(NODE, Seen(member="n1", starts=seen.starts, term=5, commit=20), disk)
        disk.lose_power(random.Random(fate).random)
        put_back()
        with pytest.raises(OlderDirectory):
            started(disk)


def test_S57_power_cut_while_a_start_is_counted_refuses_nobody(node: Node) -> None:
    for step in range(1, 20):
        for fate in range(4):
            disk = node.disk.copy()
            started(disk)
            count = 0

            def on_step(what: str, path: Path, length: int, step: int = step) -> None:
                nonlocal count
                count += 1
                if count == step:
                    raise KeyboardInterrupt

            disk.on_step = on_step
            try:
                started(disk)
            except KeyboardInterrupt:
                disk.on_step = None
                disk.lose_power(random.Random(fate).random)
            disk.on_step = None
            assert started(disk).starts in (2, 3)


# ------------------------------------------------------------------------------------------------------- everything else


def test_full_disk_refuses_a_new_segment_and_keeps_what_was_promised(node: Node, any_node: type[Node]) -> None:
    node.write(node.run(2, 4))
    node.disk.capacity_bytes -= node.disk.free_bytes(NODE) - 1000
    written = 4
    failure = ""
    while not failure:
        try:
            node.write(node.run(written + 1, written + 4))
            written += 4
        except DiskFailure as error:
            failure = str(error)
    assert "No space left on device; this node stops" in failure
    assert written > 4  # the segment's own blocks were reserved when it was made
    assert any_node(node.disk).open().restored.entries[-1].index == written


def test_directory_started_twice_or_of_another_node_is_refused(tmp_path: Path, node: Node) -> None:
    (tmp_path / "n1").mkdir()
    (tmp_path / "n1" / BIRTH_FILE).write_text(encode_json(BIRTH))
    with open_node_directory(tmp_path / "n1"), pytest.raises(DirectoryInUse, match="is in use: this node runs already"):
        open_node_directory(tmp_path / "n1")
    (tmp_path / "n1" / "node.json").write_text('{"node_id": "other"}')
    with pytest.raises(ForeignDirectory, match="belongs to no node that can run here"):
        open_node_directory(tmp_path / "n1")
    with pytest.raises(DamagedLog, match="is of another node than n2"):
        RaftStorage.open(node.directory, "n2", file_ops=node.disk)
