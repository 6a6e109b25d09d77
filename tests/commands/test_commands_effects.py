"""What a step would do to the quorum and to last replicas: the arithmetic that a person is shown before confirming."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.cli.grammar import parse, split_line
from swarmtui.commands.effects import Effect, View, cutting, losing_nodes, spare_words, splitting, standing
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.membership import majority
from swarmtui.objects.operations import Create
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.specs import ContainerSpec, GlobalMode, ReplicatedMode, ServiceSpec, TaskSpec
from tests.commands.fakes import FakeCluster


async def view_of(cluster: FakeCluster) -> View:
    store = cluster.store
    return View(await cluster.status(), tuple(store.all(Node)), tuple(store.all(Service)), tuple(store.all(Task)))


def effect_of(line: str, view: View) -> Effect:
    parsed = parse(split_line(line))
    assert parsed.command is not None
    assert parsed.command.effect is not None
    return parsed.command.effect(view, parsed.arguments)


@pytest.fixture
def five(tmp_path: Path) -> FakeCluster:
    return FakeCluster(tmp_path, 5, 2)


async def test_killing_one_of_five_leaves_spare(five):
    effect = effect_of("kill n2", await view_of(five))
    assert effect.text == "reachable voters 5 of 5 -> 4 of 5; 3 needed: 1 more may fail"
    assert not effect.needs_confirmation


async def test_killing_the_leader_with_two_down_stops_writes(five):
    five.states = {"n4": "down", "n5": "paused"}
    effect = effect_of("kill leader", await view_of(five))
    assert effect.text == (
        "n1 is the leader; reachable voters 3 of 5 -> 2 of 5; 3 needed: writes stop until a node comes back"
    )
    assert effect.loses_quorum
    assert effect.needs_confirmation


async def test_killing_what_is_dead_or_a_worker_costs_nothing(five):
    five.states = {"n5": "down"}
    view = await view_of(five)
    assert effect_of("kill n5", view) == Effect()
    assert effect_of("kill n6 n7", view) == Effect()


async def test_several_targets_are_added_up(five):
    effect = effect_of("pause n2 n3 n4", await view_of(five))
    assert "5 of 5 -> 2 of 5" in effect.text
    assert effect.loses_quorum


async def test_a_last_replica_is_named(five):
    template = TaskSpec(ContainerSpec(args=("x",)))
    for name, mode in (("ticker", ReplicatedMode(1)), ("web", ReplicatedMode(2)), ("agent", GlobalMode())):
        five.write(Create(Service(id=new_id(), spec=ServiceSpec(name, task_template=template, mode=mode))))
    five.run_services()
    effect = effect_of("kill n1", await view_of(five))
    assert effect.last_replicas == ("ticker",)
    assert effect.text.endswith("ticker loses its last running task until it is moved")
    assert effect.needs_confirmation
    assert set(effect_of("kill n1 n2", await view_of(five)).last_replicas) == {"ticker", "web"}


async def test_a_partition_keeps_the_largest_side(five):
    view = await view_of(five)
    effect = effect_of("partition n1 n2 / n3 n4 n5", view)
    assert effect.text == "n1 is the leader; reachable voters 5 of 5 -> 3 of 5; 3 needed: no more may fail"
    assert not effect.loses_quorum
    assert effect_of("partition n1 n2", view) == effect
    assert effect_of("partition n6", view) == Effect()
    three_ways = effect_of("partition n1 n2 / n3 n4 / n5", view)
    assert three_ways.loses_quorum
    assert three_ways.text.endswith("writes stop until it is healed")


async def test_a_cut_link_costs_the_quorum_only_where_nobody_hears_enough(five):
    view = await view_of(five)
    assert not effect_of("cut n2 n3", view).loses_quorum
    three = FakeCluster(Path(), 3, 0)
    view = await view_of(three)
    assert not effect_of("cut n1 n2", view).loses_quorum  # n3 hears both
    assert cutting(view, [("n1", "n2"), ("n2", "n3"), ("n1", "n3")]).loses_quorum


async def test_draining_the_last_active_node_is_said(five):
    for node in five.manifest.nodes:
        assert effect_of(f"drain {node.name}", await view_of(five)) == Effect()
    everyone = " ".join(node.name for node in five.manifest.nodes)
    assert "nowhere to go" in effect_of(f"drain {everyone}", await view_of(five)).text


async def test_words_for_where_a_cluster_stands(five):
    view = await view_of(five)
    assert standing(view) == "5 of 5 managers answer, 3 needed: 2 may fail"
    five.states = {"n4": "down", "n5": "down"}
    assert spare_words(await five.status()) == "no spare"
    five.states |= {"n3": "unknown"}
    assert spare_words(await five.status()) == "no quorum"


@given(st.integers(1, 9), st.sets(st.integers(1, 9)), st.sets(st.integers(1, 9)))
async def test_quorum_is_lost_exactly_when_too_few_are_left(managers, down, killed):
    cluster = FakeCluster(Path(), managers, 0)
    cluster.states = {f"n{number}": "down" for number in down}
    view = await view_of(cluster)
    names = {node.name for node in cluster.manifest.nodes}
    victims = [f"n{number}" for number in killed if f"n{number}" in names]
    left = names - {f"n{number}" for number in down} - set(victims)
    effect = losing_nodes(view, victims)
    newly = [name for name in victims if int(name[1:]) not in down]
    assert effect.loses_quorum == (bool(newly) and len(left) < majority(managers))
    assert splitting(view, [sorted(names)[:1]]).text == splitting(view, [sorted(names)[:1], sorted(names)[1:]]).text


async def test_a_demotion_says_how_many_may_fail_afterwards(five):
    view = await view_of(five)
    effect = effect_of("node demote n2", view)
    assert effect.text == "managers 5 -> 4; 3 needed: 1 more may fail"
    assert not effect.needs_confirmation
    assert "n1 is the leader and hands over" in effect_of("node demote n1", view).text
    assert effect_of("node rm n6", view).text == ""
    five.states = {"n3": "down", "n4": "down"}
    refused = effect_of("node demote n2", await view_of(five))
    assert refused.loses_quorum
    assert refused.text == "4 managers would be left, 3 of them needed, 2 answer: it is refused"
