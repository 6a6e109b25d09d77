"""Breaking and healing, in words: which order reaches whom."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.commands.errors import CommandFailed, SomeFailed, TryLater, WrongUsage
from swarmtui.commands.output import Line
from swarmtui.objects.records import Service, Task
from swarmtui.objects.states import TaskState
from swarmtui.wire.host_calls import Power
from swarmtui.wire.node_calls import Done, SignalTask, TransferLeadership
from tests.commands.fakes import FakeCluster


@pytest.fixture
async def web(order, cluster) -> Service:
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 3 -- sleep 1")
    service = cluster.store.by_name(Service, "web")
    assert service is not None
    return service


@pytest.mark.parametrize("action", ["kill", "stop", "start", "restart", "pause", "resume"])
async def test_nodes_are_switched_by_the_host(order, cluster, action):
    assert (await order(f"{action} leader n4")).items == [Line("n1"), Line("n4")]
    assert cluster.host.orders == [f"{action} n1", f"{action} n4"]


async def test_a_node_by_name_is_switched_even_if_nothing_else_answers(order, cluster):
    async def silent(*_, **__):
        raise AssertionError("nobody must be asked")

    cluster.status = cluster.records = silent
    await order("kill n1")
    assert cluster.host.orders == ["kill n1"]


async def test_for_is_passed_on(order, cluster):
    await order("pause n2 --for 30s")
    assert cluster.host.orders == ["pause n2 for 30"]


async def test_several_go_on_after_a_failure(order, cluster):
    cluster.host.refuses = {"n2": "n2 is refused"}
    with pytest.raises(SomeFailed) as failed:
        await order("start n2 n3")
    assert failed.value.exit_code == 1
    assert cluster.host.orders == ["start n2", "start n3"]
    with pytest.raises(CommandFailed, match="n2 is refused"):
        await order("start n2")


@pytest.mark.parametrize("action", ["start", "restart"])
async def test_a_node_that_ends_in_its_first_moments_was_not_started(order, cluster, action):
    """Its name was printed as that of any other, and why it ended stood in the host's log."""
    cluster.host.ends = {"n2": (Power.REFUSED, "its log is damaged; join anew")}
    with pytest.raises(CommandFailed, match=r"^n2 is refused: its log is damaged; join anew$"):
        await order(f"{action} n2")


async def test_a_node_that_reads_a_long_log_is_not_waited_for_to_its_end(order, cluster, autojump_clock):
    cluster.host.ends = {"n2": (Power.PAUSED, "")}  # as silent as one that reads
    assert (await order("start n2")).items == [Line("n2")]


async def test_tasks_and_services_are_signalled_where_they_run(order, cluster, web):
    task = next(task for task in cluster.store.all(Task) if task.slot == 2)
    await order("kill web.2")
    assert cluster.asked == [("n2", SignalTask(task.id, "kill"))]
    cluster.asked.clear()
    await order("pause web")
    assert sorted((node, call.action) for node, call in cluster.asked) == [
        ("n1", "pause"),
        ("n2", "pause"),
        ("n3", "pause"),
    ]


async def test_restart_stops_a_task_and_forces_a_service(order, cluster, web):
    await order("restart web.1")
    assert cluster.asked[0][1].action == "stop"
    await order("restart web")
    service = cluster.store.by_name(Service, "web")
    assert service.spec.task_template.force_update == 1


async def test_start_of_tasks_is_the_managers_business(order, cluster, web):
    await order("start web.1")
    assert cluster.asked == []
    task = cluster.store.all(Task)[0]
    cluster.write_status = None
    dead = attrs.evolve(
        task, id="dead".ljust(25, "0"), slot=9, status=attrs.evolve(task.status, state=TaskState.FAILED)
    )
    cluster.add_task(dead)
    with pytest.raises(CommandFailed, match="tasks are started by the managers"):
        await order("start web.9")
    await order("kill web.9")  # what is over is over: done
    with pytest.raises(CommandFailed, match="does not run"):
        await order("pause web.9")


async def test_a_refusing_node_is_heard(order, cluster, web):
    cluster.answers[SignalTask] = Done(refused="no such task here")
    with pytest.raises(CommandFailed, match="no such task here"):
        await order("stop web.1")


async def test_for_is_for_nodes(order, web):
    with pytest.raises(CommandFailed, match="--for is for nodes; web is a service"):
        await order("kill web --for 3s")


async def test_partitions(order, cluster):
    await order("partition leader n2 / n3 --for 10s")
    assert cluster.host.orders == ["partition n1 n2 / n3 for 10"]
    for words, sentence in (
        ("n1 /", "a group is empty"),
        ("n1 n2 / n2", "n2 is named twice"),
        ("n1 n2 n3 n4", "every node is in the one group"),
    ):
        with pytest.raises(WrongUsage, match=sentence):
            await order(f"partition {words}")


async def test_links(order, cluster):
    out = await order("cut n1 n2 --one-way")
    assert out.items == [Line("n1 -> n2", "Text")]
    await order("link n1 n2 delay=200ms loss=10% --for 1m")
    assert cluster.host.orders == ["link n1 n2 one_way=True cut=True", "link n1 n2 delay_ms=200.0 loss=0.1 for 60"]
    with pytest.raises(WrongUsage, match="a link has two ends; both are n1"):
        await order("cut n1 leader")


async def test_heal_and_undo(order, cluster):
    assert (await order("heal")).items == [Line("healed", "Text")]
    await order("heal n2 leader")
    await order("undo")
    assert cluster.host.orders == ["heal", "heal n2 n1", "undo"]


async def test_transfer_of_leadership(order, cluster):
    assert (await order("raft transfer n1")).items == [Line("n1")]  # it leads already
    await order("raft transfer n3")
    assert cluster.asked == [("n1", TransferLeadership(cluster.manifest.nodes[2].id))]
    cluster.answers[TransferLeadership] = Done(refused="n2 is too far behind")
    with pytest.raises(CommandFailed, match="too far behind"):
        await order("raft transfer n2")
    cluster.leader = None
    with pytest.raises(TryLater, match="no node leads now"):
        await order("raft transfer n2")


async def test_a_transfer_to_whoever_is_best_says_who_leads_now(order, cluster, autojump_clock, monkeypatch):
    ask = cluster.ask

    async def hand_over(node, call):
        cluster.leader = "n3"
        return await ask(node, call)

    monkeypatch.setattr(cluster, "ask", hand_over)
    assert (await order("raft transfer")).items == [Line("n3", "Text")]
