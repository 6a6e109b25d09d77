"""A long work beside the event loop, in the same interpreter; and what is left of it afterwards."""

from __future__ import annotations

import platform
import time
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import trio
import trio.testing

from swarmtui.node import compaction as compaction_module
from swarmtui.node.compaction import REST_MAX_S, Compaction, resting
from swarmtui.node.disk import Disk
from swarmtui.node.heap import give_back
from swarmtui.node.manager_side import ManagerSide
from swarmtui.node.state_stream import stream_state
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Compact, InstallSnapshot
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.messages import SnapshotMark
from swarmtui.store import Store
from swarmtui.store.snapshot import Frozen
from tests.node.conftest import AtOnce


def test_a_long_work_rests_for_as_long_as_it_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of a million keys kept the interpreter for itself: a write waited 150 ms for its dozen system calls."""
    clock = 0.0
    rests: list[float] = []
    monkeypatch.setattr(time, "thread_time", lambda: clock)
    monkeypatch.setattr(time, "sleep", rests.append)
    for step in resting(iter([0.001, 0.002, 1.0])):
        clock += step  # what whoever takes the steps makes of each
    assert rests == pytest.approx([0.001, 0.002, REST_MAX_S])


ALONE = Configuration(voters=(Member("a", "n1", "127.0.0.1:1"),))
ENTRIES = [Entry(5, 1, EntryKind.TRANSACTIONS, b"some")]


def filled(*keys: str) -> Store:
    store = Store()
    puts = [encode(Transaction((Put(key, b"value"),))) for key in keys]
    store.apply(1, 1, encode_transactions(puts, 1.0))
    return store


def test_what_is_let_go_leaves_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager with 100,000 keys kept 80 MB of what a snapshot had taken the place of."""
    frozen = filled("a", "b").freeze()
    done: list[str] = []
    monkeypatch.setattr(
        compaction_module,
        "give_back",
        lambda: done.append(f"given back, {sum(map(len, frozen.tables['kv'].parts))} rows are held"),
    )
    never: Any = None
    Compaction(never, SimpleNamespace(newest=lambda: None), AtOnce(), never, never).let_go(frozen)  # type: ignore[arg-type]
    assert done == ["given back, 0 rows are held"]


def test_entries_are_forgotten_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million keys all at once, to give their 300 MB back stopped the writes for up to 130 ms."""
    done: list[str] = []
    entries = [Entry(number, 1, EntryKind.TRANSACTIONS, b"x" * 20_000) for number in range(1, 5_001)]
    monkeypatch.setattr(compaction_module, "give_back", lambda: done.append(f"given back, {len(entries)} are left"))
    files: Any = SimpleNamespace(
        newest=lambda: None, discarded=SimpleNamespace(free=lambda: map(done.append, ["freed"]))
    )
    never: Any = None
    Compaction(never, files, AtOnce(), never, never).discarded(entries)  # type: ignore[arg-type]
    assert done == [
        "freed",
        "given back, 3208 are left",
        "given back, 1416 are left",
        "given back, 0 are left",
    ]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have no such call")
def test_memory_that_was_freed_is_given_back() -> None:
    held = [bytes(16_000) for _ in range(5_000)]
    last = held.pop()  # the end of the heap, which alone would shrink by itself
    del held
    before = psutil.Process().memory_info().rss
    give_back()
    assert before - psutil.Process().memory_info().rss > 40_000_000
    assert len(last) == 16_000


async def test_a_snapshot_that_is_asked_for_while_another_is_written_is_taken_too(nursery: trio.Nursery) -> None:
    """It was forgotten with the end of the other, and whoever had asked waited for what they had written since."""
    store, taken = filled("a"), list[int]()
    consensus: Any = SimpleNamespace(
        store=store,
        core=SimpleNamespace(
            configuration_at=lambda index: None, log=SimpleNamespace(bytes_between=lambda *_: 0, base=0)
        ),
        transactions_applied=0,
        feed=lambda news: taken.append(news.mark.index),
    )
    settings: Any = SimpleNamespace(snapshot_every=1000, snapshot_every_set=False)

    def save(index: int, term: int, configuration: Any, chunks: Any) -> SnapshotMark:
        if index == 1:
            store.skip(2, 1)
            compaction.ask()
        return SnapshotMark(index, term, ALONE, 1, "")

    files: Any = SimpleNamespace(newest=lambda: None, save=save)
    events: Any = SimpleNamespace(tell=lambda *what, **about: None)
    compaction = Compaction(consensus, files, AtOnce(), events, settings)  # type: ignore[arg-type]
    nursery.start_soon(compaction.run)
    compaction.ask()
    await trio.testing.wait_all_tasks_blocked()
    assert taken == [1, 2]


@pytest.mark.parametrize(("own", "due_mib"), [("a", 32.0), ("b", 37.4), ("c", 42.7)])
def test_managers_take_turns_though_all_apply_the_same(own: str, due_mib: float) -> None:
    """Of a million keys all wrote their snapshots at once, for six seconds, and the rate of writes fell to a third."""
    rung = list[float]()
    written = 0.0
    core = SimpleNamespace(
        node_id=own,
        members=SimpleNamespace(ids=("a", "b", "c")),
        log=SimpleNamespace(bytes_between=lambda *_: written * 1024 * 1024, base=0),
    )
    consensus: Any = SimpleNamespace(core=core, transactions_applied=100_000)
    settings: Any = SimpleNamespace(snapshot_every=1000, snapshot_every_set=False)
    never: Any = None
    files: Any = SimpleNamespace(newest=lambda: None)
    compaction = Compaction(consensus, files, never, never, settings)
    compaction._bell = SimpleNamespace(ring=lambda: rung.append(written))  # type: ignore[assignment]
    while not rung:
        written = round(written + 0.1, 1)
        compaction.applied(1)
    assert rung == [due_mib]


@pytest.mark.parametrize(
    ("effect", "steps"),
    [
        (Compact(5, ENTRIES), ["compact to 5", "discard", "some", "more", "forgotten"]),
        (InstallSnapshot(SnapshotMark(5, 1, ALONE, 1, ""), ()), ["install 5", "installed", "some", "more"]),
    ],
    ids=["compacted", "installed"],
)
async def test_the_bytes_of_what_was_discarded_are_freed_beside_the_log(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, effect: Compact | InstallSnapshot, steps: list[str]
) -> None:
    """Their deletion held up the log for 140 to 300 ms, on its own thread."""
    monkeypatch.setattr(
        compaction_module, "_forget_entries", lambda entries: iter(["forgotten"] if entries is ENTRIES else [])
    )
    done: list[str] = []
    log: Any = SimpleNamespace(
        compact=lambda index: done.append(f"compact to {index}"),
        install=lambda mark, kept: done.append(f"install {mark.index}"),
    )
    files: Any = SimpleNamespace(
        newest=lambda: None,
        discard_older=lambda: done.append("discard"),
        discarded=SimpleNamespace(free=lambda: iter(["some", "more"])),
    )

    async def installed(effect: InstallSnapshot) -> None:
        done.append("installed")

    never: Any = None
    aside = SimpleNamespace(begin=lambda over, work, steps: done.extend(steps))
    compaction = Compaction(never, files, aside, never, never)  # type: ignore[arg-type]
    disk = Disk(log, files, AtOnce(), never, never, installed, compaction.discarded)  # type: ignore[arg-type]
    nursery.start_soon(disk.run)
    disk.want(effect)
    assert disk.begin(lambda: True) is None
    await trio.testing.wait_all_tasks_blocked()
    assert done == steps


async def test_a_state_that_was_saved_is_let_go_beside_the_event_loop_also_when_nobody_reads_it_to_the_end() -> None:
    async def vouched(patience_s: float) -> str:
        return ""

    let_go: list[Frozen] = []
    consensus: Any = SimpleNamespace(store=filled("a"), reads=SimpleNamespace(confirm=vouched))
    pieces = stream_state(consensus, 1.0, let_go.append)
    await anext(pieces)
    assert let_go == []
    await pieces.aclose()  # type: ignore[attr-defined]
    (frozen,) = let_go
    assert list(frozen.tables["kv"]) == ["a"]


async def test_a_follower_keeps_its_own_rows_where_its_leaders_snapshot_has_the_same() -> None:
    """Rows that nothing had changed were there twice until the old ones were let go, and came to lie in new memory."""
    leader, follower = filled("a", "b"), filled("a", "b")
    leader.apply(2, 1, encode_transactions([encode(Transaction((Put("b", b"changed"),)))], 2.0))
    own = follower.freeze().tables["kv"]
    let_go: list[Frozen] = []
    to_move: list[str] = []
    side: Any = SimpleNamespace(
        opened=SimpleNamespace(snapshots=SimpleNamespace(open_chunks=lambda mark: leader.freeze().chunks())),
        store=follower,
        consensus=SimpleNamespace(installed=lambda effect, state: follower.adopt(state)),
        compaction=SimpleNamespace(let_go=let_go.append, installed=lambda mark: None),
        events=SimpleNamespace(tell=lambda *what, **about: None),
        _heap_mover=SimpleNamespace(replaced=lambda: to_move.append("the heap")),
        _log_worker=AtOnce(),
    )
    mark = SnapshotMark(2, 1, ALONE, 1, "")
    await ManagerSide._installed(side, InstallSnapshot(mark, ()))
    now = follower.freeze().tables["kv"]
    assert [key for key in now if now[key] is own[key]] == ["a"]
    assert follower.digest() == leader.digest()
    assert [list(frozen.tables["kv"]) for frozen in let_go] == [["a", "b"]]
    assert to_move == ["the heap"]
