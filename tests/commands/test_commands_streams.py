"""Logs, events, the raft log: what is gathered from nodes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
import trio

from swarmtui.commands.command import Arguments, Context, Place
from swarmtui.commands.errors import CommandFailed, TryLater, WrongUsage
from swarmtui.commands.output import Document, Note, Recorder
from swarmtui.commands.task_output import show_logs
from swarmtui.objects.events import Event
from swarmtui.objects.records import Task
from swarmtui.wire.host_calls import Power
from swarmtui.wire.node_calls import Done, GetStatus, LogLine, OutputLine, PeerReport, TakeSnapshot
from tests.commands.fake_answers import NOW
from tests.commands.fakes import FakeCluster


@pytest.fixture
async def talking(order, cluster) -> FakeCluster:
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 2 -- sleep 1")
    for task in cluster.store.all(Task):
        cluster.outputs[task.id] = tuple(
            OutputLine(
                NOW - 60 + 10 * number + task.slot, "stderr" if number else "stdout", f"line {number} of {task.slot}"
            )
            for number in range(3)
        )
    return cluster


async def test_logs_are_merged_by_time_with_the_task_in_front(order, talking):
    out = await order("logs web")
    assert [item.text for item in out.items][:3] == [
        "web.1@n1    | line 0 of 1",
        "web.2@n2    | line 0 of 2",
        "web.1@n1    | line 1 of 1",
    ]
    assert [item.to_error for item in out.items] == [False, False, True, True, True, True]
    first = out.items[0]
    assert isinstance(first, Document)
    assert first.value["task"] == "web.1"
    assert first.value["stream"] == "stdout"


async def test_service_logs_are_of_services_and_tasks_alone(order, talking):
    await order("service logs web")
    await order("service logs web.1")
    with pytest.raises(CommandFailed, match=r"^no such task or service: n1"):
        await order("service logs n1")


async def test_logs_of_a_task_a_node_and_everything(order, talking):
    assert len((await order("logs web.2")).items) == 3
    assert len((await order("logs n1")).items) == 3
    assert len((await order("logs")).items) == 6
    assert len((await order("service logs web")).items) == 6


async def test_tail_since_raw_and_timestamps(order, talking):
    assert [item.text for item in (await order("logs -n 1 --raw web.1")).items] == ["line 2 of 1"]
    assert len((await order("logs --since 45s web.1")).items) == 1
    (line,) = (await order("logs -n 1 -t web.1")).items
    assert line.text.startswith("2023-11-14T22:12:")


async def test_lines_end_where_asked(order, talking):
    """As docker's logs; the last lines are then the last before that end."""
    for words, told in (
        ("--until 55s", ["line 0 of 1"]),
        ("--since 55s --until 45s", ["line 1 of 1"]),
        ("--until 40s -n 1", ["line 1 of 1"]),
        ("--follow --until 40s -n 1", ["line 1 of 1"]),
        ("--until 40s -n 0", []),
        ("--until 10m", []),
    ):
        assert [item.text for item in (await order(f"logs --raw {words} web.1")).items] == told, words
    with pytest.raises(WrongUsage, match=r"^--until is 30 s before --since; .*later"):
        await order("logs --since 30s --until 1m web")


async def test_what_is_in_front_of_a_line_is_as_long_as_asked(order, talking):
    task = next(task for task in talking.store.all(Task) if task.slot == 1)
    for words, prefix in (
        ("", "web.1@n1"),
        ("--no-task-ids", "web.1@n1"),
        ("--no-trunc", f"web.1.{task.id}@n1"),
        ("--no-trunc --no-task-ids", "web.1@n1"),
        ("--no-resolve", f"web.1@{task.node_id}"),
    ):
        (line,) = (await order(f"service logs -n 1 {words} web.1")).items
        assert line.text == f"{prefix}    | line 2 of 1", words
        assert (line.value["task"], line.value["task_id"], line.value["node"]) == ("web.1", task.id, "n1")


async def test_what_has_no_output_is_a_note(order, talking):
    talking.outputs.clear()
    out = await order("logs web.1")
    assert out.items == [Note("web.1@n1: nothing was written")]


async def test_following_picks_up_tasks_that_appear(talking, machine, autojump_clock):
    out = Recorder()
    context = Context(out=out, place=Place(None, Path(), {}), machine=machine, found=talking, wall=lambda: NOW)

    async def add_later() -> None:
        await trio.sleep(1)
        newer = attrs.evolve(talking.store.all(Task)[0], id="new".ljust(25, "n"), slot=7)
        talking.outputs[newer.id] = (OutputLine(NOW, "stdout", "hello"),)
        talking.add_task(newer)

    with trio.move_on_after(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(add_later)
            await show_logs(context, Arguments({"follow": True}), ("web",))
    assert "web.7@n1    | hello" in [item.text for item in out.items]


async def test_events_are_filtered_and_begin_where_asked(order, cluster):
    cluster.recent = [
        Event(NOW - 100, "n1", 1, "election", "won term 7", term=7),
        Event(NOW - 10, "n2", 1, "task", "web.1 running", object="web.1"),
    ]
    assert len((await order("events --no-follow")).items) == 2
    (event,) = (await order("events --no-follow --since 30s")).items
    assert event.value["kind"] == "task"
    assert set(event.value) == {"time", "node", "seq", "kind", "text", "term", "index", "object", "data"}
    assert event.text.endswith("n2    task     web.1 running")
    for words, count in (("kind=election", 1), ("node=n2", 1), ("object=web", 1), ("text=TERM", 1), ("kind=node", 0)):
        assert len((await order(f"events --no-follow --filter {words}")).items) == count, words
    with pytest.raises(WrongUsage, match="did you mean election"):
        await order("events --filter kind=elections")
    with pytest.raises(WrongUsage, match="invalid filter 'knd'"):
        await order("events --filter knd=x")


async def test_an_event_is_one_line_whatever_the_task_of_which_it_tells_wrote(order, cluster):
    cluster.recent = [Event(NOW - 1, "n1", 1, "task", "web.1 failed: \x1b[31ma\rb\nc")]
    (event,) = (await order("events --no-follow")).items
    assert event.text.endswith("web.1 failed:  [31ma b c")
    assert event.value["text"] == "web.1 failed: \x1b[31ma\rb\nc"


async def test_events_end_where_asked(order, cluster):
    """As docker's: with --until alone they begin with what is still known."""
    cluster.recent = [Event(NOW - age, "n1", age, "raft", f"{age} s ago") for age in (100, 50, 10)]
    for words, told in (
        ("--since 60s --until 30s", ["50 s ago"]),
        ("--until 30s", ["100 s ago", "50 s ago"]),
        (f"--since 60s --until {NOW - 50:.0f}", ["50 s ago"]),
        ("--no-follow --since 60s --until 2099-01-31T13:23:37Z", ["50 s ago", "10 s ago"]),
    ):
        assert [item.value["text"] for item in (await order(f"events {words}")).items] == told, words


async def test_events_that_end_before_they_begin_are_refused(order, cluster):
    with pytest.raises(WrongUsage, match=r"^--until is 30 s before --since; .*later"):
        await order("events --since 30s --until 1m")


async def test_raft_log_pages_through_a_nodes_own_log(order, cluster):
    cluster.log = [LogLine(index, 7, "transactions", f"put k{index}", 40, index < 1200) for index in range(101, 1300)]
    (listing,) = (await order("raft log -n 3")).items
    assert [row.values["index"] for row in listing.rows] == [1297, 1298, 1299]
    assert listing.rows[0].values == {
        "index": 1297,
        "term": 7,
        "kind": "transactions",
        "text": "put k1297",
        "bytes": 40,
        "committed": False,
    }
    assert {node for node, _ in cluster.asked} == {"n1"}
    note, listing = (await order("raft log -a n2")).items
    assert len(listing.rows) == 1199
    assert note == Note("entries before 101 are compacted into a snapshot on n2")
    cluster.leader = None
    with pytest.raises(TryLater, match="no node leads now; name the node"):
        await order("raft log")


async def test_raft_state_has_a_row_for_who_does_not_answer(order, cluster):
    cluster.states = {"n3": "down"}
    (listing,) = (await order("raft state")).items
    assert [row.values["role"] for row in listing.rows] == ["leader", "follower", "unknown"]
    assert listing.rows[0].cell("heard") == "n1 n2 n3"


async def test_raft_state_shows_how_far_a_learner_is(order, cluster):
    leader = await cluster.ask("n1", GetStatus())
    peers = (PeerReport("idn3", "n3", "replicate", 400, 0.1, True, 12, "round 2 to 412, last 730 ms"),)
    cluster.answers[GetStatus] = attrs.evolve(leader, peers=peers)
    (listing,) = (await order("raft state")).items
    row = listing.rows[2]
    assert (row.values["lag"], row.values["catch_up"]) == (12, "round 2 to 412, last 730 ms")
    assert row.cell("role").endswith("(round 2 to 412, last 730 ms)")


async def test_raft_snapshot(order, cluster):
    cluster.answers[TakeSnapshot] = Done(text="snapshot at 412")
    (line,) = (await order("raft snapshot n2")).items
    assert line.text == "snapshot at 412"
    assert cluster.asked[-1][0] == "n2"


@pytest.fixture
def saved(cluster, monkeypatch) -> list[dict]:
    """What backups were asked for; n2 gives one of index 412 to each."""
    asked: list[dict] = []

    async def save(path: Path, **how):
        asked.append({"file": path.name, **how})
        return SimpleNamespace(head=SimpleNamespace(cluster="c1", index=412, term=7, saved_by="n2"), size_bytes=99)

    monkeypatch.setattr(cluster, "save_backup", save, raising=False)
    return asked


async def test_a_saved_state_says_its_index(order, saved):
    (document,) = (await order("raft snapshot save b.swarm")).items
    assert "at index 412 to " in document.text
    assert "stale" not in document.value
    assert saved == [{"file": "b.swarm", "node": "", "replace": False, "stale": False}]


async def test_a_stale_state_says_what_it_is_not(order, saved):
    document, note = (await order("raft snapshot save --stale --node n2 b.swarm")).items
    assert document.value["stale"] is True
    assert note == Note(
        "stale: no quorum was asked; this is what n2 had applied, up to index 412, and what the others acknowledged later is "
        "missing"
    )
    assert saved == [{"file": "b.swarm", "node": "n2", "replace": False, "stale": True}]


@pytest.mark.parametrize(("last", "says"), [(412, False), (415, True)])
async def test_a_stale_state_says_what_force_new_cluster_would_keep_of_the_same_log(
    order, cluster, saved, monkeypatch, last, says
):
    """A leader that is lost may have acknowledged entries that this manager holds and was never told to apply."""
    plain = cluster._report
    monkeypatch.setattr(cluster, "_report", lambda name: attrs.evolve(plain(name), last=last, applied=412))
    _, note = (await order("raft snapshot save --stale b.swarm")).items
    added = (
        "; the log of n2 goes on to index 415, and what a lost leader acknowledged may be among that: this file has none of "
        "it, swarm init --force-new-cluster --node n2 keeps it"
    )
    assert note.text.endswith("later is missing" + (added if says else ""))
    assert "up to index 412" in note.text


async def test_a_stale_state_is_told_of_even_if_its_manager_is_gone_by_then(order, cluster, saved):
    cluster.host.powers["n2"] = (Power.KILLED, "")
    _, note = (await order("raft snapshot save --stale b.swarm")).items
    assert note.text.endswith("later is missing")
