"""What is not needed any more: its name goes for good, then its bytes, and never all at once."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from swarmtui.raft.effects import HardState
from swarmtui.storage import discarded as discarded_module
from swarmtui.storage.discarded import Discarded
from swarmtui.storage.errors import DiskFailure
from swarmtui.storage.files import REAL
from swarmtui.storage.simulated import SimulatedDisk

if TYPE_CHECKING:
    from .conftest import Node

STEP_BYTES = 100


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discarded_module, "FREED_BYTES_MAX", STEP_BYTES)


def an_old_snapshot(node: Node) -> None:
    for index in (9, 10):
        node.storage.snapshots.save(index, 1, node.configuration, [bytes(10_000)])
    node.storage.snapshots.discard_older()


def segments_before_a_snapshot(node: Node) -> None:
    node.storage.snapshots.save(100, 1, node.configuration, [b"state"])
    node.storage.compact(100)


def segments_before_a_received_snapshot(node: Node) -> None:
    mark = node.storage.snapshots.save(500, 7, node.configuration, [b"state"])
    node.storage.install(mark, [])


@pytest.mark.parametrize("discard", [an_old_snapshot, segments_before_a_snapshot, segments_before_a_received_snapshot])
def test_bytes_are_freed_step_by_step_once_their_names_are_gone_for_good(
    node: Node, discard: Callable[[Node], None]
) -> None:
    """300 MB that went at once held up every sync of the disk: a leader's writes stopped for 140 to 300 ms."""
    for index in range(2, 121):
        node.write(node.run(index, index), HardState(1, "n1", index))
    steps: list[tuple[str, int]] = []
    node.disk.on_step = lambda what, path, length: steps.append((what, length))
    discard(node)
    assert [what for what, _ in steps if what in ("unlink", "sync directory")][-2:] == ["unlink", "sync directory"]
    assert "truncate" not in [what for what, _ in steps]
    files = len(node.storage.discarded)
    assert files
    steps.clear()
    list(node.storage.discarded.free())
    lengths = [length for what, length in steps if what == "truncate"]
    assert len(lengths) == len(steps) >= files * (4096 // STEP_BYTES)
    assert all(later == earlier - STEP_BYTES or earlier <= STEP_BYTES for earlier, later in itertools.pairwise(lengths))
    assert not node.storage.discarded
    assert not list(node.storage.discarded.free())


def test_a_thread_that_frees_meanwhile_cuts_nothing_that_could_come_back(node: Node) -> None:
    for index in range(2, 121):
        node.write(node.run(index, index), HardState(1, "n1", index))
    node.storage.snapshots.save(100, 1, node.configuration, [b"state"])

    def the_other_thread(what: str, path: Path, length: int) -> None:
        if what in ("unlink", "sync directory"):
            node.disk.on_step = None
            list(node.storage.discarded.free())
            node.disk.on_step = the_other_thread

    node.disk.on_step = the_other_thread
    node.storage.compact(100)
    node.disk.on_step = None
    copy = node.disk.copy()
    copy.lose_power(lambda: 0.0)
    assert [name for name in copy.names(node.directory) if name.endswith(".log")] == node.segments()
    assert node.open().restored.entries[-1].index == 120


def files_of(disk: SimulatedDisk, count: int) -> list[str]:
    disk.make_directory(Path("/d"))
    names = [f"{number:03d}" for number in range(count)]
    for name in names:
        disk.create(Path("/d") / name, 1000).sync()
    disk.sync_directory(Path("/d"))
    return names


def test_those_that_nobody_frees_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discarded_module, "NAMELESS_MAX", 4)
    disk = SimulatedDisk()
    discarded = Discarded(disk)
    discarded.take(Path("/d"), files_of(disk, 10))
    assert len(discarded) == 4
    discarded.close()
    assert not discarded
    assert disk.names(Path("/d")) == []


def failing(disk: SimulatedDisk, step: str) -> None:
    def on_step(what: str, path: Path, length: int) -> None:
        if what == step:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    disk.on_step = on_step


def test_one_that_cannot_be_opened_goes_as_a_whole() -> None:
    disk = SimulatedDisk()
    names = files_of(disk, 3)
    failing(disk, "open")
    discarded = Discarded(disk)
    discarded.take(Path("/d"), names)
    assert disk.names(Path("/d")) == []
    assert not discarded


def test_one_that_cannot_be_cut_goes_as_a_whole() -> None:
    disk = SimulatedDisk()
    discarded = Discarded(disk)
    discarded.take(Path("/d"), files_of(disk, 3))
    failing(disk, "truncate")
    list(discarded.free())
    assert not discarded


@pytest.mark.parametrize("step", ["unlink", "sync directory"])
def test_a_name_that_does_not_go_is_a_failure_of_the_disk(node: Node, step: str) -> None:
    for index in range(2, 121):
        node.write(node.run(index, index))
    node.storage.snapshots.save(100, 1, node.configuration, [b"state"])
    failing(node.disk, step)
    with pytest.raises(DiskFailure, match="compaction"):
        node.storage.compact(100)
    assert not node.storage.discarded


def test_two_threads_on_a_real_disk(tmp_path: Path) -> None:
    """No descriptor is closed twice, and none stays open."""
    discarded = Discarded(REAL)
    over = threading.Event()

    def free() -> None:
        while not over.is_set():
            list(discarded.free())

    before = psutil.Process().num_fds()
    thread = threading.Thread(target=free)
    thread.start()
    try:
        for turn in range(50):
            names = [f"{turn}-{number}" for number in range(10)]
            for name in names:
                (tmp_path / name).write_bytes(bytes(10 * STEP_BYTES))
            discarded.take(tmp_path, names)
    finally:
        over.set()
        thread.join()
    discarded.close()
    assert os.listdir(tmp_path) == []
    assert psutil.Process().num_fds() == before
