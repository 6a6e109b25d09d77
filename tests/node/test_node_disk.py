"""The way to the disk: what is written at once, what is left to the thread, and that a slow disk does not stop the loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import outcome
import pytest
import trio
import trio.testing

from swarmtui.node.disk import REST_S, WAIT_S, Disk
from swarmtui.raft.effects import Compact, Write
from swarmtui.raft.inputs import Written


class Thread:
    """A DiskWorker that is as quick as the test says, and notes what is asked of it."""

    def __init__(self) -> None:
        self.is_quick = True
        self.fails = False
        self.told: list[str] = []
        self._late: list[Any] = []

    def attempt(self, done: Any, patience_s: float, work: Any, writes: list[Write]) -> outcome.Outcome[None] | None:
        assert patience_s == WAIT_S
        self.told.append(f"waits for {[write.sequence for write in writes]}")
        if self.is_quick:
            return outcome.Error(OSError("the disk is odd")) if self.fails else outcome.Value(None)
        self._late.append(done)
        return None

    def begin(self, done: Any, work: Any, writes: list[Write]) -> None:
        self.told.append(f"begins {[write.sequence for write in writes]}")
        self._late.append(done)

    async def run(self, work: Any, *arguments: Any) -> Any:
        self.told.append("compacts")

    def finish(self) -> None:
        self._late.pop(0)(outcome.Value(None))


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.fixture
def reported() -> list[Any]:
    return []


@pytest.fixture
def disk(thread: Thread, reported: list[Any]) -> Disk:
    storage = SimpleNamespace(write_many=None, compact=None)
    snapshots = SimpleNamespace(discard_older=None)
    never: Any = None
    return Disk(storage, snapshots, thread, never, reported.append, never)  # type: ignore[arg-type]


def want(disk: Disk, *sequences: int) -> Written | None:
    for sequence in sequences:
        disk.want(Write(sequence, None, None, ()))
    return disk.begin(lambda: True)


async def test_what_a_good_disk_writes_is_reported_in_the_step_that_wants_it(disk, thread, reported):
    assert want(disk, 1, 2) == Written(2)
    assert want(disk, 3) == Written(3)
    assert disk.begin(lambda: True) is None  # nothing is wanted
    assert thread.told == ["waits for [1, 2]", "waits for [3]"]
    assert reported == []  # once is enough


async def test_what_a_slow_disk_writes_is_reported_later_with_what_has_come_meanwhile(disk, thread, reported):
    thread.is_quick = False
    assert want(disk, 1) is None
    assert want(disk, 2) is None
    assert want(disk, 3) is None
    thread.finish()
    thread.finish()
    assert reported == [Written(1), Written(3)]
    assert thread.told == ["waits for [1]", "begins [2, 3]"]


async def test_a_slow_disk_is_not_waited_for_again_before_a_rest(disk, thread, autojump_clock):
    thread.is_quick = False
    assert want(disk, 1) is None
    thread.finish()
    thread.is_quick = True
    assert want(disk, 2) is None
    thread.finish()
    await trio.sleep(REST_S / 2)
    assert want(disk, 3) is None
    thread.finish()
    await trio.sleep(REST_S / 2 + WAIT_S)
    assert want(disk, 4) == Written(4)
    assert thread.told == ["waits for [1]", "begins [2]", "begins [3]", "waits for [4]"]


async def test_a_loop_with_better_to_do_does_not_wait(disk, thread, reported):
    disk.want(Write(1, None, None, ()))
    assert disk.begin(lambda: False) is None
    assert thread.told == ["begins [1]"]
    thread.finish()
    assert reported == [Written(1)]


async def test_what_is_no_write_keeps_its_place_and_is_waited_for_by_a_task(disk, thread, reported, nursery):
    nursery.start_soon(disk.run)
    disk.want(Compact(1))
    assert want(disk, 1) is None
    assert thread.told == []
    await trio.testing.wait_all_tasks_blocked()
    assert thread.told == ["compacts", "compacts", "begins [1]"]
    thread.finish()
    assert reported == [Written(1)]
    assert want(disk, 2) == Written(2)


async def test_a_failure_ends_the_run_and_nothing_more_is_begun(disk, thread, reported):
    thread.fails = True
    assert want(disk, 1) is None
    assert want(disk, 2) is None
    with pytest.raises(OSError, match="the disk is odd"), trio.fail_after(5):
        await disk.run()
    assert reported == []
    assert thread.told == ["waits for [1]"]
