"""Power cuts everywhere: recovery gives back all that was reported written, and invents nothing.

A script of writes, truncations, compactions and snapshots runs on the simulated disk and is cut at every step of the disk,
several times with other sectors lost; then it is recovered. What comes back must be the log as it was after the last call
that returned, or, of the call that was under way, after it: nothing less, nothing between, nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from swarmtui.raft.effects import HardState
from swarmtui.raft.entries import Entry
from swarmtui.raft.messages import SnapshotMark
from swarmtui.storage import log
from swarmtui.storage.errors import DamagedLog, DamagedSnapshot, NewerFormat
from swarmtui.storage.frames import HEAD_BYTES
from swarmtui.storage.simulated import SimulatedDisk

if TYPE_CHECKING:
    from .conftest import Node


class PowerCutError(BaseException):
    """Ends the script, as a power cut ends a process: no handler sees it."""


@attrs.frozen
class Model:
    """What a log ought to be: entries behind `head`, the hard state, the newest snapshot."""

    entries: tuple[Entry, ...]
    hard_state: HardState
    head: int = 0
    snapshot: int = 0

    @property
    def last(self) -> int:
        return self.entries[-1].index if self.entries else self.head


@attrs.define
class Script:
    """Does things to a node, and notes the model before each and after each that returned."""

    node: Node
    draw: random.Random
    before: Model
    after: Model

    def run(self, steps: int) -> None:
        self.node.open()
        for _ in range(steps):
            action = self.draw.choices(
                [self.append, self.overwrite, self.vote, self.group, self.snapshot, self.install], [8, 3, 2, 3, 2, 1]
            )[0]
            action()
            self.before = self.after

    def _entries(self, first: int, count: int, term: int) -> list[Entry]:
        size = self.draw.choice([1, 40, 300, 1500])
        fill = self.draw.choice([b"\0", b"x", b"SWF"])
        return [self.node.entry(first + at, term, fill * size) for at in range(count)]

    def append(self) -> None:
        model = self.before
        new = self._entries(model.last + 1, self.draw.randint(1, 5), model.hard_state.term)
        self.after = attrs.evolve(model, entries=(*model.entries, *new))
        self.node.write(new)

    def overwrite(self) -> None:
        model = self.before
        keep = self.draw.randint(max(model.snapshot, model.head, 1), max(model.last, 1))
        hard_state = HardState(model.hard_state.term + 1, "n2", 1)
        new = self._entries(keep + 1, self.draw.randint(0, 3), hard_state.term)
        kept = tuple(entry for entry in model.entries if entry.index <= keep)
        self.after = attrs.evolve(model, entries=(*kept, *new), hard_state=hard_state)
        self.node.write(new, hard_state, truncate_after=keep)

    def vote(self) -> None:
        hard_state = HardState(self.before.hard_state.term + 1, self.draw.choice(["", "n1", "n2"]), 1)
        self.after = attrs.evolve(self.before, hard_state=hard_state)
        self.node.write(hard_state=hard_state)

    def group(self) -> None:
        model = self.before
        first = self._entries(model.last + 1, 2, model.hard_state.term)
        hard_state = HardState(model.hard_state.term + 1, "", 1)
        second = self._entries(model.last + 2, 3, hard_state.term)
        self.after = attrs.evolve(model, entries=(*model.entries, first[0], *second), hard_state=hard_state)
        self.node.storage.write_many(
            [self.node.make(first), self.node.make(second, hard_state, truncate_after=model.last + 1)]
        )

    def snapshot(self) -> None:
        model = self.before
        if model.last <= model.snapshot or model.last <= model.head:
            return
        index = self.draw.randint(max(model.snapshot, model.head) + 1, model.last)
        storage = self.node.storage
        term = next(entry.term for entry in model.entries if entry.index == index)
        self.after = attrs.evolve(model, snapshot=index)
        storage.snapshots.save(index, term, self.node.configuration, [b"state of %d" % index])
        self.before = self.after
        storage.snapshots.discard_older()
        head = self.draw.randint(model.head, index)
        kept = tuple(entry for entry in model.entries if entry.index > head)
        self.after = attrs.evolve(self.before, head=head, entries=kept)
        storage.compact(head)
        list(storage.discarded.free())

    def install(self) -> None:
        model = self.before
        index = max(model.last, model.snapshot) + self.draw.randint(1, 5)
        term = model.hard_state.term
        self.after = attrs.evolve(model, entries=(), head=index, snapshot=index)
        storage = self.node.storage
        mark = storage.snapshots.save(index, term, self.node.configuration, [b"received"])
        storage.install(mark, [])
        storage.snapshots.discard_older()
        list(storage.discarded.free())


def script(node: Node, seed: int) -> Script:
    genesis = Model((_genesis(node),), HardState(1, "", 1))
    return Script(node, random.Random(seed), genesis, genesis)


def _genesis(node: Node) -> Entry:
    return type(node)().open().restored.entries[0]


def agrees(node: Node, model: Model) -> bool:
    restored = node.storage.restored
    snapshot = restored.snapshot.index if restored.snapshot is not None else 0
    # Compaction is lazy: entries before the head may still be there, and must be the right ones (checked by the core).
    entries = tuple(entry for entry in restored.entries if entry.index > model.head)
    return (entries, restored.hard_state, snapshot) == (model.entries, model.hard_state, model.snapshot)


def cut_at(disk: SimulatedDisk, step: int) -> None:
    count = 0

    def on_step(what: str, path: Path, length: int) -> None:
        nonlocal count
        count += 1
        if count == step:
            raise PowerCutError

    disk.on_step = on_step


def cuts(any_node: type[Node], seed: int, steps: int) -> Iterator[tuple[int, Script]]:
    """The script cut at its first step of the disk, its second, and so on."""
    step = 0
    while True:
        step += 1
        node = any_node()
        run = script(node, seed)
        cut_at(node.disk, step)
        try:
            run.run(steps)
        except PowerCutError:
            node.disk.on_step = None
            yield step, run
        else:
            return


@pytest.mark.parametrize("seed", range(12))
def test_a_power_cut_at_every_step_loses_nothing_and_invents_nothing(
    any_node: type[Node], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = (log.FILLED_AHEAD_BYTES, 700, 0)[seed % 3]  # zeros to the segment's end, now and then, never
    monkeypatch.setattr(log, "FILLED_AHEAD_BYTES", ahead)
    for step, run in cuts(any_node, seed, steps=14):
        for fate in range(3):
            disk = run.node.disk.copy()
            disk.lose_power(random.Random(seed * 1000 + step * 10 + fate).random)
            survivor = any_node(disk)
            survivor.open()
            assert agrees(survivor, run.before) or agrees(survivor, run.after), (seed, step, fate)


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_process_leaves_what_the_next_one_makes_durable(any_node: type[Node], seed: int) -> None:
    for step, run in cuts(any_node, seed, steps=8):
        node = run.node
        node.disk.lose_process()
        node.open()
        then = node.storage.restored
        node.disk.lose_power(lambda: 0.99)
        again = any_node(node.disk)
        again.open()
        assert again.storage.restored == then, step
        assert agrees(again, run.before) or agrees(again, run.after), step


def test_a_second_cut_during_recovery_loses_nothing_either(any_node: type[Node]) -> None:
    for step, run in cuts(any_node, seed=3, steps=8):
        run.node.disk.lose_power(random.Random(step).random)
        for second in range(1, 30):
            disk = run.node.disk.copy()
            survivor = any_node(disk)
            cut_at(disk, second)
            try:
                survivor.open()
            except PowerCutError:
                disk.on_step = None
                disk.lose_power(random.Random(second).random)
                survivor.open()
            disk.on_step = None
            assert agrees(survivor, run.before) or agrees(survivor, run.after), (step, second)


def test_a_write_cut_at_every_byte_is_there_whole_or_not_at_all(node: Node, any_node: type[Node]) -> None:
    node.write(node.run(2, 4))
    path = node.directory / node.segments()[-1]
    start = len(node.disk.read(path).rstrip(b"\0")) + 31 & ~31
    before = node.disk.copy()
    node.write(node.run(5, 12), HardState(2, "n1", 1))
    frame = node.disk.read(path)[start:].rstrip(b"\0")
    for length in range(len(frame) + 1):
        disk = before.copy()
        disk.damage(path, start, frame[:length])
        survivor = any_node(disk)
        last = survivor.open().restored.entries[-1].index
        assert last == (12 if length == len(frame) else 4), length
        assert survivor.storage.restored.hard_state.term == (2 if length == len(frame) else 1)
        survivor.write(survivor.run(last + 1, last + 1))
        assert survivor.open().restored.entries[-1].index == last + 1


def test_every_flipped_bit_is_refused_or_harmless(node: Node, any_node: type[Node]) -> None:
    node.write(node.run(2, 4, size=30))
    node.write(node.run(5, 6, size=400), HardState(2, "n2", 1))
    node.write(node.run(6, 7, size=10), truncate_after=5)
    expected = node.open().restored
    path = node.directory / node.segments()[0]
    used = len(node.disk.read(path).rstrip(b"\0"))
    refused = 0
    for offset in [*range(used), *range(used, 4096, 17)]:
        disk = node.disk.copy()
        disk.flip(path, offset, offset % 8)
        survivor = any_node(disk)
        try:
            survivor.open()
        except (DamagedLog, NewerFormat):
            refused += 1
            continue
        assert survivor.storage.restored == expected, offset
    assert refused > used * 0.9


def test_every_flipped_bit_of_a_snapshot_is_refused(node: Node, any_node: type[Node]) -> None:
    node.write(node.run(2, 9))
    mark = node.storage.snapshots.save(9, 1, node.configuration, [b"state" * 20])
    path = node.directory / f"{mark.index:016d}-{mark.term}.snap"
    for offset in range(len(node.disk.read(path))):
        disk = node.disk.copy()
        disk.flip(path, offset, offset % 8)
        survivor = any_node(disk)

        def read(survivor: Node = survivor) -> None:
            found = survivor.open().restored.snapshot
            assert isinstance(found, SnapshotMark)
            for _ in survivor.storage.snapshots.open_chunks(found):
                continue

        with pytest.raises((DamagedSnapshot, NewerFormat)):
            read()


def test_any_bytes_in_a_segment_are_refused_by_name(any_node: type[Node]) -> None:
    draw = random.Random(1)
    fills: list[Callable[[int], bytes]] = [bytes, draw.randbytes, lambda length: b"SWF" * (length // 3)]
    for fill in fills:
        for length in (0, 31, 32, 64, 4096):
            node = any_node()
            path = node.directory / "00000001.log"
            node.disk.create(path, 0).write_at(fill(length), 0)
            with pytest.raises(DamagedLog):
                node.open()


def test_the_head_of_a_frame_is_as_long_as_its_alignment() -> None:
    """Else a head could lie in two sectors, and half a head is no head."""
    assert HEAD_BYTES == 32
