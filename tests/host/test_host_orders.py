"""Orders to a host with dummy nodes, and what they do to processes and links. One cluster for all of these tests: each
begins with every node running and nothing broken."""

from __future__ import annotations

import json
import os
import signal

import pytest
import trio

from swarmtui.host.info import running_host
from swarmtui.objects.events import Event
from swarmtui.wire.host_calls import CutLinks, GetHost, Heal, PowerNode, SetLink, Undo
from swarmtui.wire.node_calls import GetStatus, Observe
from swarmtui.wire.rpc import CallRefused
from tests.host.helpers import LIMIT_S, Machine, alive, stopped, until

pytestmark = pytest.mark.cluster


# ------------------------------------------------------------------------------------------------------------- orders


async def test_kill_takes_every_process_of_the_node_and_start_brings_it_back(shared: Machine) -> None:
    await shared.whole()
    await until(lambda: len(shared.tasks("n1")) == 2, "the task and its child that left its session")
    pids = [(await shared.node("n1")).pid, *(process.pid for process in shared.tasks("n1"))]
    assert await shared.order(PowerNode("n1", "kill")) == "n1 is killed"
    await until(lambda: not any(alive(pid) for pid in pids), "all are gone")
    report = await shared.report()
    assert [(node.name, node.power, node.pid != 0) for node in report.nodes] == [
        ("n1", "killed", False),
        ("n2", "running", True),
        ("n3", "running", True),
    ]
    assert [fault.text for fault in report.faults] == ["kill n1"]
    assert await shared.order(PowerNode("n1", "kill")) == "n1 is killed already"
    await shared.order(PowerNode("n1", "start"))
    await shared.until_power("running", "n1")
    assert (await shared.report()).faults == ()


async def test_pause_stops_the_tasks_too_and_resume_continues_them(shared: Machine) -> None:
    await shared.whole()
    await until(lambda: len(shared.tasks("n1")) == 2, "the task and its child")
    pids = [(await shared.node("n1")).pid, *(process.pid for process in shared.tasks("n1"))]
    await shared.order(PowerNode("n1", "pause"))
    await until(lambda: all(stopped(pid) for pid in pids), "all are stopped")
    assert (await shared.node("n1")).power == "paused"
    await shared.order(PowerNode("n1", "pause"))
    await shared.order(PowerNode("n1", "resume"))
    await until(lambda: not any(stopped(pid) for pid in pids), "all continue")
    assert all(alive(pid) for pid in pids)
    assert (await shared.report()).faults == ()


async def test_healing_one_node_of_a_partition_says_so(shared: Machine) -> None:
    await shared.whole()
    await shared.order(CutLinks((("n1",), ("n2",), ("n3",))))
    assert await shared.order(Heal(("n2",))) == "healed: n2 of partition n1 / n2 / n3"
    assert await shared.order(Heal(("n2",))) == "nothing is broken"
    assert await shared.order(Heal()) == "healed: partition n1 / n2 / n3, healed: n2"


@pytest.mark.parametrize(("order", "word"), [(Heal(), "healed"), (Undo(), "undone")])
async def test_a_node_that_does_not_come_back_is_told_of(shared: Machine, order: Heal | Undo, word: str) -> None:
    """Its fault is over, and its directory was lost meanwhile."""
    await shared.whole()
    await shared.order(PowerNode("n2", "kill"))
    directory = shared.layout.node("n2").directory
    beside = directory.with_name("n2.lost")
    directory.rename(beside)
    said = await shared.order(order)
    beside.rename(directory)
    assert said.startswith(f"{word}: kill n2; n2 is refused: its directory {directory} is gone; ")
    assert "swarmtui node rm --force n2" in said
    await shared.order(PowerNode("n2", "start"))


async def test_a_time_limit_heals_by_itself(shared: Machine) -> None:
    await shared.whole()
    await shared.order(PowerNode("n1", "kill", for_s=0.3))
    await shared.order(PowerNode("n2", "pause", for_s=0.3))
    await shared.until_power("running", "n1", "n2")
    await until(lambda: "healed kill n1: time is up" in shared.layout.host_log.read_text(), "it is an event")


async def test_restart(shared: Machine) -> None:
    await shared.whole()
    pid = (await shared.node("n1")).pid
    assert await shared.order(PowerNode("n1", "restart")) == "n1 is running"
    await shared.until_power("running", "n1")
    assert (await shared.node("n1")).pid != pid


async def test_a_node_killed_from_outside_is_shown_and_not_brought_back_but_healed(shared: Machine) -> None:
    await shared.whole()
    await until(lambda: len(shared.tasks("n1")) == 2, "the task and its child")
    strays = [process.pid for process in shared.tasks("n1")]
    os.kill((await shared.node("n1")).pid, signal.SIGKILL)
    await shared.until_power("exited", "n1")
    assert (await shared.node("n1")).text == "killed by SIGKILL"
    await until(lambda: not any(alive(pid) for pid in strays), "what it left behind is swept")
    assert await shared.order(Heal()) == "healed: start n1"
    await shared.until_power("running", "n1")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (PowerNode("n9", "kill"), "there is no node n9; the nodes are n1 n2 n3"),
        (PowerNode("n1", "explode"), "explode is none of kill, stop"),
        (PowerNode("n1", "start", for_s=3.0), "start has no time limit"),
        (CutLinks((("n1", "n9"),)), "there is no node n9"),
        (SetLink("n1", "n1", cut=True), "n1 has no link to itself"),
        (Heal(("n9",)), "there is no node n9"),
    ],
)
async def test_orders_that_cannot_be_obeyed(shared: Machine, order: object, said: str) -> None:
    await shared.whole()
    assert said in await shared.refused(order)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- link faults


async def test_a_partition_is_enforced_at_every_node_when_the_order_returns(shared: Machine) -> None:
    await shared.whole()
    ids = {node.name: node.id for node in shared.manifest.nodes}
    assert await shared.order(CutLinks((("n1",), ("n2", "n3")), for_s=60.0)) == "partition n1 / n2 n3"
    assert {fault["peer_id"] for fault in shared.told("n1", "links.json")} == {ids["n2"], ids["n3"]}
    (fault,) = shared.told("n2", "links.json")
    assert (fault["peer_id"], fault["cut_out"], fault["cut_in"]) == (ids["n1"], True, True)
    assert fault["until"] is not None
    report = await shared.report()
    assert set(report.links) == set(ids.values())
    assert await shared.order(Undo()) == "undone: partition n1 / n2 n3"
    assert shared.told("n1", "links.json") == shared.told("n2", "links.json") == []


async def test_a_starting_node_has_its_faults_before_its_port_is_open(shared: Machine) -> None:
    await shared.whole()
    await shared.order(PowerNode("n1", "kill"))
    await shared.order(SetLink("n1", "n2", delay_ms=50.0))
    await shared.order(PowerNode("n1", "start"))
    await shared.until_power("running", "n1")
    (fault,) = shared.told("n1", "handover.json")["faults"]
    assert fault["delay_ms"] == 50.0
    assert shared.told("n1", "links.json") is None


async def test_a_resumed_node_learns_what_was_ordered_meanwhile(shared: Machine) -> None:
    await shared.whole()
    await shared.order(PowerNode("n2", "pause"))
    await shared.order(SetLink("n1", "n2", cut=True))
    assert not shared.told("n2", "links.json")
    await shared.order(PowerNode("n2", "resume"))
    await until(lambda: shared.told("n2", "links.json"), "n2 is told")


# ---------------------------------------------------------------------------------------------------- who may, and what


async def test_an_observer_may_look_and_not_touch(shared: Machine) -> None:
    await shared.whole()
    assert (await shared.ask(GetHost(), role="observer")) is not None
    with pytest.raises(BaseExceptionGroup) as refused:
        await shared.ask(PowerNode("n1", "kill"), role="observer")
    assert refused.group_contains(CallRefused, match="may not make the call PowerNode")
    with pytest.raises(BaseExceptionGroup) as refused:
        await shared.ask(GetStatus())
    assert refused.group_contains(CallRefused, match="is asked of a node")


async def test_the_host_stopped_or_full_of_rubbish_serves_on(shared: Machine) -> None:
    await shared.whole()
    info = running_host(shared.layout.directory)
    assert info is not None
    host, _, port = info.address.rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    await stream.send_all(b"GET / HTTP/1.0\r\n\r\n" * 100)
    await stream.aclose()
    assert len((await shared.report()).nodes) == 3
    await until(lambda: "refused" in shared.layout.host_log.read_text(), "it is logged")


async def test_what_the_processes_file_says_is_who_runs(shared: Machine) -> None:
    await shared.whole()
    said = json.loads(shared.layout.processes.read_text())
    running = {node.node_id: node.pid for node in (await shared.report()).nodes}
    assert {id: name["pid"] for id, name in said.items()} == running


async def test_faults_are_events_with_an_actor(shared: Machine) -> None:
    await shared.whole()
    found: list[Event] = []
    await shared.order(CutLinks((("n1",),)))
    await shared.order(Undo())
    async with shared.calling() as caller, caller.stream(Observe(after_seq=-1)) as events:
        with trio.fail_after(LIMIT_S):
            async for event in events:
                assert isinstance(event, Event)
                found.append(event)
                if event.text == "healed partition n1 / n2 n3":
                    break
    begun, ended = [event for event in found if event.kind == "fault"][-2:]
    assert (begun.node, begun.kind, begun.text) == ("you", "fault", "partition n1 / n2 n3")
    assert (begun.data["action"], begun.data["kind"], begun.data["nodes"]) == ("begin", "partition", ["n1", "n2", "n3"])
    assert (ended.text, ended.data["action"]) == ("healed partition n1 / n2 n3", "end")


async def test_nodes_need_no_host_while_it_is_stopped(shared: Machine) -> None:
    """With the host SIGSTOPped nothing changes for the nodes, and what was ordered meanwhile is done afterwards."""
    await shared.whole()
    info = running_host(shared.layout.directory)
    assert info is not None
    pids = [node.pid for node in (await shared.report()).nodes]
    os.kill(info.pid, signal.SIGSTOP)
    try:
        os.kill(pids[0], signal.SIGKILL)
        await until(lambda: not alive(pids[0]), "n1 is dead")
        assert all(alive(pid) for pid in pids[1:])
    finally:
        os.kill(info.pid, signal.SIGCONT)
    await shared.until_power("exited", "n1")
    assert (await shared.node("n1")).text == "killed by SIGKILL"
