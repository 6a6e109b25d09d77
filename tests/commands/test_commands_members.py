"""`node promote | demote | rm`, `swarm join | leave`: docker's words, and every refusal with the command that does it."""

from __future__ import annotations

import pytest

from swarmtui.client.errors import NoLeader, Refused, Unknown
from swarmtui.commands.errors import CommandFailed, FailedWith, SomeFailed
from swarmtui.commands.output import Failure, Line, Note
from swarmtui.objects.records import Node
from swarmtui.objects.states import Availability, NodeRole
from tests.commands.fake_answers import FakeNoQuorum, FakeRefused
from tests.commands.fakes import FakeCluster

ARITHMETIC = "after this change 2 voters decide, 2 of them are needed, and n1 hears 1 (n1; not n2)"


@pytest.fixture
def kept(cluster: FakeCluster) -> FakeCluster:
    """A cluster whose leader does what is wanted at once."""
    cluster.play = FakeCluster.keep_roles
    return cluster


def node(cluster: FakeCluster, name: str) -> Node | None:
    return next((node for node in cluster.store.all(Node) if node.name == name), None)


def lines(out) -> list[str]:
    return [item.text for item in out.items if isinstance(item, Line | Failure)]


async def test_promote_and_demote_say_what_docker_says(order, kept):
    assert lines(await order("node promote n4")) == ["Node n4 promoted to a manager in the swarm."]
    assert node(kept, "n4").role is NodeRole.MANAGER
    assert lines(await order("node promote n4")) == ["Node n4 is already a manager."]
    assert lines(await order("node demote n4 n3")) == [
        "Manager n4 demoted in the swarm.",
        "Manager n3 demoted in the swarm.",
    ]
    assert lines(await order("node demote n4")) == ["Node n4 is already a worker."]


async def test_update_role_is_promote_and_demote(order, kept):
    await order("node update --role manager --label-add disk=ssd n4")
    found = node(kept, "n4")
    assert (found.role, found.spec.labels["disk"]) == (NodeRole.MANAGER, "ssd")
    await order("node update --role worker n4")
    assert node(kept, "n4").role is NodeRole.WORKER


async def test_a_demotion_that_would_cost_the_quorum_is_refused_with_the_arithmetic_and_changes_nothing(order, kept):
    kept.may_not_leave = ARITHMETIC
    with pytest.raises(
        FailedWith, match="n2 cannot be demoted: after this change 2 voters decide, 2 of them"
    ) as refused:
        await order("node demote n2")
    assert refused.value.exit_code == 1
    assert node(kept, "n2").spec.role is NodeRole.MANAGER
    assert not kept.transactions


async def test_without_a_leader_nobody_judges_a_demotion(order, kept, autojump_clock):
    kept.leader = None
    with pytest.raises(FailedWith, match="no leader now") as refused:
        await order("node demote n2")
    assert refused.value.exit_code == NoLeader.exit_code


async def test_what_takes_too_long_is_unknown_and_said_how_to_look(order, cluster, autojump_clock):
    with pytest.raises(FailedWith, match="waited 5 s for n2 to be a worker; it goes on by itself") as late:
        await order("node demote --timeout 5s n2")
    assert late.value.exit_code == Unknown.exit_code
    assert lines(await order("node demote -d n3")) == ["Manager n3 demoted in the swarm."]


async def test_what_is_waited_for_is_said_soon(order, cluster, autojump_clock):
    cluster.states["n4"] = "unknown"
    with pytest.raises(FailedWith, match="waited 5 s for n4 to vote: it does not answer; it goes on by itself"):
        await order("node promote --timeout 5s n4")
    assert [item.text for item in order.out.items if isinstance(item, Note)] == [
        "waiting for n4 to vote: it does not answer"
    ]
    cluster.states.clear()
    cluster.faults = ["partition n4"]
    with pytest.raises(FailedWith, match="for n4 to vote: there are faults: partition n4; swarmtui heal ends them;"):
        await order("node promote --timeout 5s n4")
    cluster.play = lambda cluster: setattr(cluster, "may_not_leave", ARITHMETIC)
    with pytest.raises(FailedWith, match="waited 5 s for n2 to be a worker"):
        await order("node demote --timeout 5s n2")
    assert f"waiting for n2 to be a worker: {ARITHMETIC}" in [
        item.text for item in order.out.items if isinstance(item, Note)
    ]


@pytest.mark.parametrize(("state", "verb"), [("stopped", "start"), ("down", "start"), ("paused", "resume")])
async def test_a_node_that_does_not_run_is_not_waited_for(order, cluster, state, verb):
    cluster.states["n4"] = state
    with pytest.raises(
        FailedWith, match=f"n4 is {state}: .* only when it runs: swarmtui {verb} n4; or .* promote -d n4"
    ):
        await order("node promote n4")
    assert not cluster.transactions
    assert lines(await order("node promote -d n4")) == ["Node n4 promoted to a manager in the swarm."]
    with pytest.raises(FailedWith, match=f"n4 is {state}: it is to be a manager already, .* runs: swarmtui {verb} n4$"):
        await order("node promote n4")


async def test_too_few_managers_are_said_sooner_than_that_there_is_no_leader(order, kept, autojump_clock):
    kept.leader, kept.states = None, {"n1": "down", "n3": "down"}
    with pytest.raises(FailedWith, match="no quorum: 1 of 3 managers answer, 2 are needed") as refused:
        await order("node demote n3")
    assert refused.value.exit_code == NoLeader.exit_code
    assert autojump_clock.current_time() < 1.5


async def test_a_node_that_is_being_demoted_is_promoted_when_that_is_over(order, cluster):
    await order("node demote -d n2")
    with pytest.raises(FailedWith, match="n2 is being demoted just now"):
        await order("node promote n2")


async def test_rm_of_a_manager_names_the_demotion_and_of_a_ready_node_the_stop(order, kept):
    with pytest.raises(FailedWith, match="must be demoted to worker before removal: swarmtui node demote n2"):
        await order("node rm n2")
    with pytest.raises(FailedWith, match="must be demoted to worker before removal: swarmtui node demote n2"):
        await order("node rm --force n2")
    with pytest.raises(FailedWith, match="node n4 is not down and can't be removed; stop it first: swarmtui stop n4"):
        await order("node rm n4")
    assert node(kept, "n2") is not None
    assert node(kept, "n4") is not None


async def test_rm_takes_a_worker_that_is_down_or_by_force(order, kept):
    assert lines(await order("node rm --force n4")) == ["n4"]
    assert node(kept, "n4") is None
    assert kept.host.orders == ["forget n4"]


async def test_rm_force_of_a_manager_that_is_down_demotes_it_first_if_the_quorum_permits(order, kept):
    kept.turn_off("n3")
    with pytest.raises(FailedWith, match="swarmtui node rm --force n3"):
        await order("node rm n3")
    kept.may_not_leave = ARITHMETIC
    with pytest.raises(FailedWith, match="n3 cannot be demoted"):
        await order("node rm --force n3")
    assert node(kept, "n3").spec.role is NodeRole.MANAGER
    kept.may_not_leave = ""
    assert lines(await order("node rm --force n3")) == ["n3"]
    assert node(kept, "n3") is None
    assert kept.manifest.node("n3") is None


async def test_a_removal_that_was_broken_off_is_ended_by_the_same_command(order, kept):
    kept.write(*(_remove(kept, "n4"),))
    assert lines(await order("node rm n4")) == ["n4"]
    assert kept.manifest.node("n4") is None


async def test_several_go_on_after_one_that_is_refused(order, kept):
    kept.turn_off("n4")
    with pytest.raises(SomeFailed):
        await order("node rm n1 n4")
    said = lines(order.out)
    assert said[0] == "n4"
    assert "node n1 is a cluster manager" in said[1]


async def test_join_makes_the_next_name_and_a_replacement_takes_the_old_one(order, kept):
    assert lines(await order("swarm join")) == ["n5 joined the swarm as a worker."]
    command = "swarm join --role manager --name n8 --availability drain --label zone=b --label disk=ssd"
    assert lines(await order(command)) == ["n8 joined the swarm as a manager."]
    found = node(kept, "n8")
    assert (found.role, found.spec.availability) == (NodeRole.MANAGER, Availability.DRAIN)
    assert dict(found.spec.labels) == {"zone": "b", "disk": "ssd"}
    kept.turn_off("n2")
    before = node(kept, "n2").id
    await order("node rm --force n2")
    await order("swarm join --role manager --name n2")
    assert node(kept, "n2").id != before


async def test_join_refuses_a_name_that_is_taken_and_leaves_nothing_behind_when_the_host_refuses(order, kept):
    with pytest.raises(Refused, match="there is a node n1 already"):
        await order("swarm join --name n1")
    kept.host.refuses["n9"] = "no free port"
    with pytest.raises(Refused, match="no free port"):
        await order("swarm join --name n9")
    assert node(kept, "n9") is None


async def test_leave_stops_in_good_order_and_wants_force_for_a_manager(order, kept):
    assert lines(await order("swarm leave n4")) == ["n4 left the swarm."]
    assert kept.host.orders == ["stop n4", "forget n4"]
    with pytest.raises(FailedWith, match="swarmtui node demote n2, or swarmtui swarm leave --force n2"):
        await order("swarm leave n2")
    assert lines(await order("swarm leave --force n2")) == ["n2 left the swarm."]
    assert node(kept, "n2") is None


async def test_an_address_changes_while_the_node_is_stopped(order, kept):
    kept.host.refuses["n1"] = "n1 runs and cannot change its address so; stop it first: swarmtui stop n1"
    with pytest.raises(Refused, match="stop it first"):
        await order("node update --address 127.0.0.1:7555 n1")
    await order("node update --address 127.0.0.1:7555 n2")
    assert kept.manifest.node("n2").address == "127.0.0.1:7555"
    await order("node update --address auto n2")
    assert kept.manifest.node("n2").address == "127.0.0.1:7198"


async def test_an_address_changes_though_no_manager_answers(order, kept, monkeypatch):
    async def nobody(*tables, **how):
        raise FakeNoQuorum("no quorum: 0 of 3 managers answer, 2 are needed")

    monkeypatch.setattr(kept, "records", nobody)
    assert lines(await order("node update --address auto n2")) == ["n2"]
    assert kept.manifest.node("n2").address == "127.0.0.1:7198"


@pytest.mark.parametrize("word", ["7555", "host:", "127.0.0.1:99999", "0.0.0.0:7555", "10.0.0.1:7555"])
@pytest.mark.parametrize("line", ["node update --address {} n2", "swarm join --address {}"])
async def test_what_is_no_loopback_address_is_wrong_usage(order, cluster, line, word):
    with pytest.raises(Exception, match="is no loopback address") as wrong:
        await order(line.format(word))
    assert not isinstance(wrong.value, CommandFailed | FakeRefused) or wrong.value.exit_code == 2


def _remove(cluster: FakeCluster, name: str):
    from swarmtui.objects.operations import Remove

    return Remove("node", node(cluster, name).id)
