"""The host as a process, with dummy nodes: it starts once, supplies power, and everything ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import sys

import psutil
import pytest
import trio

from swarmtui.host.info import HostInfo, running_host, write_info
from swarmtui.host.leftovers import read_processes
from swarmtui.host.start import HostFailed, ensure_host, wait_gone
from swarmtui.wire.host_calls import CutLinks, PowerNode, SetLink, ShutDown
from tests.host.helpers import LIMIT_S, Machine, alive, dummy_host_command, fresh_host_command, marked, until

pytestmark = pytest.mark.cluster


async def power_cut(machine: Machine, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    await until(lambda: running_host(machine.layout.directory) is None, "the host is gone")


# ------------------------------------------------------------------------------------------------------ start and end


async def test_up_twice_at_once_starts_one_host(machine: Machine) -> None:
    found: list[HostInfo] = []

    async def up() -> None:
        found.append(await ensure_host(machine.layout.directory, command=dummy_host_command))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(up)
    assert len(set(found)) == 1
    assert await ensure_host(machine.layout.directory, command=dummy_host_command) == found[0]
    await machine.until_power("running")
    pids = {node.pid for node in (await machine.report()).nodes}
    assert len(pids) == 3


async def test_host_json_of_a_dead_or_another_process_is_not_believed(machine: Machine) -> None:
    own = psutil.Process()
    for stale in (
        HostInfo(2**22 - 7, own.create_time(), "boot", "127.0.0.1:1"),
        HostInfo(own.pid, own.create_time() - 100, "boot", "127.0.0.1:1"),
        HostInfo(own.pid, own.create_time(), "another boot", "127.0.0.1:1"),
    ):
        write_info(machine.layout, stale)
        assert running_host(machine.layout.directory) is None
    machine.layout.host_info.write_text("{")
    assert running_host(machine.layout.directory) is None
    info = await machine.up()
    assert info.pid != own.pid


async def test_a_running_host_is_found_again_when_its_host_json_was_damaged_or_deleted(machine: Machine) -> None:
    """Until then `down` said that nothing was running, and `up` gave up after 20 s."""
    info = await machine.up()
    for what, harm in (("damaged", lambda path: path.write_text("{")), ("deleted", lambda path: path.unlink())):
        harm(machine.layout.host_info)
        assert await ensure_host(machine.layout.directory, command=dummy_host_command) == info
        said = f"host.json was {what}, and is written again"
        await until(lambda said=said: said in machine.layout.host_log.read_text(), said)  # a moment after it is


async def test_host_killed_is_a_power_cut_and_up_resumes(machine: Machine) -> None:
    info = await machine.up()
    await until(lambda: len(marked(machine.manifest.id)) == 6, "two processes of a task on each node")
    pids = [node.pid for node in (await machine.report()).nodes]
    await power_cut(machine, info.pid)
    await until(lambda: not any(alive(pid) for pid in pids), "nodes see the end of their pipe")
    await until(lambda: not marked(machine.manifest.id), "no task outlives its node")
    again = await machine.up()
    assert again.pid != info.pid
    assert all(node.pid not in pids for node in (await machine.report()).nodes)


async def test_a_paused_node_does_not_survive_the_power_cut_either(machine: Machine) -> None:
    info = await machine.up()
    await machine.order(PowerNode("n1", "pause"))
    pid = (await machine.node("n1")).pid
    await power_cut(machine, info.pid)
    await machine.up()
    assert not alive(pid)
    assert (await machine.node("n1")).power == "running"


async def test_host_and_nodes_killed_together_leave_tasks_that_the_next_up_sweeps(machine: Machine) -> None:
    info = await machine.up()
    await until(lambda: len(marked(machine.manifest.id)) == 6, "two processes of a task on each node")
    strays = [process.pid for process in marked(machine.manifest.id)]
    for pid in [info.pid, *(node.pid for node in (await machine.report()).nodes)]:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: running_host(machine.layout.directory) is None, "the host is gone")
    assert all(alive(pid) for pid in strays)  # a dummy has no launcher
    await ensure_host(machine.layout.directory, command=dummy_host_command)
    assert not any(alive(pid) for pid in strays)


async def test_the_host_ends_with_its_directory(machine: Machine) -> None:
    info = await machine.up()
    pids = [node.pid for node in (await machine.report()).nodes]
    shutil.rmtree(machine.layout.directory)
    await until(lambda: not alive(info.pid), "the host has ended")
    await until(lambda: not any(alive(pid) for pid in pids), "so have its nodes")


async def test_shut_down_stops_everything_and_up_starts_it_again(machine: Machine) -> None:
    info = await machine.up()
    pids = [node.pid for node in (await machine.report()).nodes]
    await machine.order(PowerNode("n2", "pause"))
    await machine.order(CutLinks((("n1",),)))
    with trio.fail_after(8):
        assert await machine.order(ShutDown()) == "test is down"
    assert not any(alive(pid) for pid in pids)
    assert await wait_gone(machine.layout.directory, LIMIT_S)
    await until(lambda: not alive(info.pid), "the host has ended")
    assert not machine.layout.host_info.exists()
    await machine.up()
    assert (await machine.report()).faults == ()


async def test_sigterm_is_down(machine: Machine) -> None:
    info = await machine.up()
    pids = [node.pid for node in (await machine.report()).nodes]
    os.kill(info.pid, signal.SIGTERM)
    await until(lambda: not alive(info.pid), "the host has ended")
    assert not any(alive(pid) for pid in pids)
    assert "SIGTERM received" in machine.layout.host_log.read_text()


async def test_no_cluster_there(machine: Machine) -> None:
    with pytest.raises(HostFailed, match="there is no cluster"):
        await ensure_host(machine.layout.directory / "absent")


async def test_a_host_that_cannot_read_its_cluster_says_why(machine: Machine) -> None:
    machine.layout.manifest.write_text("{}")
    with pytest.raises(HostFailed) as failed:
        await ensure_host(machine.layout.directory, command=dummy_host_command)
    said = str(failed.value)
    assert said.startswith(f"{machine.layout.manifest} cannot be read: "), (
        "the time of the log's line is nobody's business"
    )
    assert said.endswith("put a copy of it back: every node.json under nodes/ holds one, as `manifest`")


async def test_nobody_inherits_a_power_pipe(machine: Machine) -> None:
    info = await machine.up()
    pipes = {os.readlink(f"/proc/{info.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{info.pid}/fd")}
    written = {pipe for pipe in pipes if pipe.startswith(("pipe:", "socket:"))}
    for node in (await machine.report()).nodes:
        held = [os.readlink(f"/proc/{node.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{node.pid}/fd") if fd != "0"]
        stdin = os.readlink(f"/proc/{node.pid}/fd/0")
        assert not (set(held) - {stdin}) & written


async def test_stop_is_in_order_and_a_deaf_node_is_killed(machine: Machine) -> None:
    machine.behave("n2", "deaf")
    await machine.up()
    await machine.order(PowerNode("n1", "stop"))
    assert (await machine.node("n1")).power == "stopped"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.order, PowerNode("n2", "stop"))
        await until(lambda: machine.told("n2", "asked.json"), "n2 is asked to stop")
        await machine.order(PowerNode("n2", "kill"))  # does not wait for the grace
    assert (await machine.node("n2")).power == "killed"


async def test_a_node_that_refuses_or_crashes_says_why(machine: Machine) -> None:
    machine.behave("n1", "refuse")
    machine.behave("n3", "crash")
    await ensure_host(machine.layout.directory, command=dummy_host_command)
    await machine.until_power("refused", "n1")
    await machine.until_power("exited", "n3")
    why = (await machine.node("n1")).text
    assert why.startswith("damaged log: segment 3 at byte 17; ")
    assert why.endswith("do it"), "what to do was cut off"
    assert (await machine.node("n3")).text == "ended with status 1: out of order"


async def test_managers_lost_directory_is_refused_and_the_others_start(machine: Machine) -> None:
    shutil.rmtree(machine.layout.node("n1").directory)
    shutil.rmtree(machine.layout.node("n3").directory)
    await ensure_host(machine.layout.directory, command=dummy_host_command)
    await machine.until_power("running", "n2", "n3")
    n1 = await machine.node("n1")
    assert n1.power == "refused"
    assert "remove" in n1.text or "node rm" in n1.text
    assert "never made again" in await machine.refused(PowerNode("n1", "start"))


async def test_links_survive_a_power_cut_and_power_does_not(machine: Machine) -> None:
    info = await machine.up()
    await machine.order(SetLink("n1", "n2", cut=True, one_way=True))
    await machine.order(PowerNode("n3", "kill"))
    await power_cut(machine, info.pid)
    await machine.up()
    assert [fault.text for fault in (await machine.report()).faults] == ["cut n1 n2 --one-way"]
    assert machine.told("n1", "handover.json")["faults"][0]["cut_out"] is True
    assert machine.told("n2", "handover.json")["faults"][0]["cut_in"] is True


# ------------------------------------------------------------------------------------------------- copies and fresh nodes


async def test_copies_look_like_nodes_of_their_own(machine: Machine) -> None:
    await machine.up()
    for node in (await machine.report()).nodes:
        process = psutil.Process(node.pid)
        directory = machine.layout.node(node.name).directory
        assert " ".join(process.cmdline()) == f"{sys.executable} -m tests.host.dummy_node {directory}"
        assert os.getpgid(node.pid) == node.pid


async def test_nodes_outlive_the_foundry_and_the_next_are_fresh(machine: Machine) -> None:
    info = await machine.up()
    pids = {node.name: node.pid for node in (await machine.report()).nodes}
    foundry = psutil.Process(pids["n1"]).parent()
    assert foundry is not None
    assert foundry.ppid() == info.pid
    foundry.kill()
    await until(lambda: not alive(foundry.pid), "the foundry is dead")
    assert {node.name: node.pid for node in (await machine.report()).nodes} == pids
    os.kill(pids["n2"], signal.SIGKILL)
    await machine.until_power("exited", "n2")
    assert (await machine.node("n2")).text == "ended, and nobody can tell how"
    await machine.order(PowerNode("n1", "restart"))
    await machine.order(PowerNode("n2", "start"))
    await machine.until_power("running")
    assert psutil.Process((await machine.node("n1")).pid).ppid() == info.pid


async def test_without_a_foundry_nodes_are_fresh_interpreters(machine: Machine) -> None:
    machine.behave("n3", "crash")
    info = await ensure_host(machine.layout.directory, command=fresh_host_command)
    await machine.until_power("exited", "n3")
    assert (await machine.node("n3")).text == "ended with status 1: out of order"
    await machine.until_power("running", "n1", "n2")
    pid = (await machine.node("n1")).pid
    assert psutil.Process(pid).ppid() == info.pid
    await machine.order(PowerNode("n1", "kill"))
    assert not alive(pid)
    await power_cut(machine, info.pid)
    pid = (read_processes(machine.layout)[machine.manifest.nodes[1].id]).pid
    await until(lambda: not alive(pid), "the others see the end of their pipe")
