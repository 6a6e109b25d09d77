"""Nodes: docker's list, inspection, labels and availability; `status`; `ps`."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.commands.errors import CommandFailed, SomeFailed, WrongUsage
from swarmtui.commands.output import Document, Inspection, Line, Listing
from swarmtui.objects.records import Node
from swarmtui.objects.states import Availability
from tests.commands.fakes import FakeCluster


def node(cluster: FakeCluster, name: str) -> Node:
    return next(node for node in cluster.store.all(Node) if node.name == name)


async def test_ls_shows_dockers_columns(order, cluster):
    cluster.states = {"n3": "down"}
    (listing,) = (await order("node ls")).items
    assert isinstance(listing, Listing)
    assert [column.heading for column in listing.columns] == [
        "ID",
        "HOSTNAME",
        "STATUS",
        "AVAILABILITY",
        "MANAGER STATUS",
        "ENGINE VERSION",
    ]
    assert [row.values["ManagerStatus"] for row in listing.rows] == ["Leader", "Reachable", "Unreachable", ""]
    assert listing.rows[0].values == {
        "ID": cluster.manifest.nodes[0].id,
        "Hostname": "n1",
        "Status": "Ready",
        "Availability": "Active",
        "ManagerStatus": "Leader",
        "Self": True,
        "EngineVersion": "0.1.0",
    }


async def test_the_manager_that_answered_is_dockers_self(order, cluster):
    cluster.leader = "n2"
    (listing,) = (await order("node ls")).items
    assert [row.values["Self"] for row in listing.rows] == [False, True, False, False]
    ids = [node.id for node in cluster.manifest.nodes]
    assert [row.cell("ID") for row in listing.rows] == [ids[0], f"{ids[1]} *", ids[2], ids[3]]
    (inspection,) = (await order("node inspect self")).items
    assert [found["ID"] for found in inspection.objects] == [ids[1]]
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 4 -- sleep 1")
    (listing,) = (await order("node ps self")).items
    assert [row.values["Name"] for row in listing.rows] == ["web.2"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("node ls --filter role=maneger", "invalid filter 'role=maneger'; did you mean manager?"),
        ("node ls --filter membership=x", "invalid filter 'membership=x'; valid: accepted, pending"),
        ("service ls --filter mode=globl", "invalid filter 'mode=globl'; did you mean global?"),
        ("ps --filter desired-state=x", "invalid filter 'desired-state=x'; valid: running, shutdown"),
    ],
)
async def test_a_filter_that_can_match_nothing_is_refused(order, words, sentence):
    with pytest.raises(WrongUsage) as wrong:
        await order(words)
    assert str(wrong.value).startswith(sentence)


async def test_ls_filters(order):
    for words, count in (("role=worker", 1), ("node.label=zone=b", 1), ("name=n2", 1), ("membership=accepted", 4)):
        (listing,) = (await order(f"node ls --filter {words}")).items
        assert len(listing.rows) == count, words


async def test_inspect_has_the_engines_shape(order):
    (inspection,) = (await order("node inspect leader n4")).items
    assert isinstance(inspection, Inspection)
    first, second = inspection.objects
    assert first["Description"]["Hostname"] == "n1"
    assert first["ManagerStatus"] == {"Leader": True, "Reachability": "reachable", "Addr": "127.0.0.1:7101"}
    assert "ManagerStatus" not in second
    (pretty,) = (await order("node inspect --pretty n1")).items
    assert "Reachability:" in pretty.pretty
    with pytest.raises(SomeFailed):
        await order("node inspect n1 n9")


async def test_update_changes_labels_and_availability(order, cluster):
    out = await order("node update --label-add disk=ssd --label-rm zone --availability pause n2")
    assert out.items == [Line("n2")]
    spec = node(cluster, "n2").spec
    assert (spec.labels, spec.availability) == ({"disk": "ssd"}, Availability.PAUSE)
    with pytest.raises(CommandFailed, match="key 'zone' doesn't exist in node's labels"):
        await order("node update --label-rm zone n2")


async def test_drain_and_activate_are_idempotent(order, cluster):
    assert (await order("drain n2 leader")).items == [Line("n2"), Line("n1")]
    assert node(cluster, "n2").spec.availability is Availability.DRAIN
    written = len(cluster.transactions)
    await order("drain n2")
    assert len(cluster.transactions) == written
    await order("activate n2")
    assert node(cluster, "n2").spec.availability is Availability.ACTIVE
    with pytest.raises(CommandFailed, match="no such node: n9"):
        await order("drain n9")
    with pytest.raises(SomeFailed):
        await order("drain n9 n3")
    assert node(cluster, "n3").spec.availability is Availability.DRAIN


async def test_ps_of_nodes_and_of_everything(order, cluster):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web --replicas 4 -- sleep 1")
    (listing,) = (await order("node ps n2 n3")).items
    assert [row.values["Name"] for row in listing.rows] == ["web.2", "web.3"]
    (listing,) = (await order("node ps")).items
    assert len(listing.rows) == 4
    for words, names in (("ps", 4), ("ps n2", 1), ("ps web", 4), ("ps web.3", 1), ("ps --filter node=n1", 1)):
        (listing,) = (await order(words)).items
        assert len(listing.rows) == names, words


async def test_ps_hides_what_was_replaced_unless_asked(order, cluster):
    cluster.play = FakeCluster.run_services
    await order("service create -d --name web -- sleep 1")
    task = cluster.store.tasks()[0]
    over = attrs.evolve(task.status, state=task.status.state.COMPLETE, pid=0)
    cluster.add_task(
        attrs.evolve(task, id="old".ljust(25, "o"), status=over, desired_state=task.desired_state.SHUTDOWN)
    )
    (listing,) = (await order("ps")).items
    assert len(listing.rows) == 1
    (listing,) = (await order("ps -a --no-trunc")).items
    assert [row.cell("Name") for row in listing.rows] == [f"web.1.{task.id}", f" \\_ web.1.{'old'.ljust(25, 'o')}"]
    for words, names in (("ps -a web.1", 2), ("ps web.1", 1), (f"ps -a {task.id}", 1), (f"ps -a {task.id[:8]}", 1)):
        (listing,) = (await order(words)).items
        assert len(listing.rows) == names, words


async def test_status_and_raft_state_say_whose_disk_refuses_writes(order, cluster, monkeypatch):
    full = "n2's disk has 5 bytes free, 67108864 are kept in reserve; free some space"
    healthy = await cluster.status()
    rows = [attrs.evolve(row, disk=full if row.name == "n2" else "") for row in healthy.nodes]

    async def status():
        return attrs.evolve(healthy, nodes=rows)

    monkeypatch.setattr(cluster, "status", status)
    (document,) = (await order("status")).items
    assert f"NOTE: {full}" in document.text.splitlines()
    assert [node["disk"] for node in document.value["nodes"]] == ["", full, "", ""]
    report = cluster._report
    monkeypatch.setattr(cluster, "_report", lambda name: attrs.evolve(report(name), disk=full if name == "n2" else ""))
    (listing,) = (await order("raft state")).items
    assert [row.values["disk"] for row in listing.rows] == [None, full, None]


async def test_status_answers_the_three_questions_first(order, cluster):
    (document,) = (await order("status")).items
    assert isinstance(document, Document)
    assert document.text.splitlines()[:2] == [
        "dev: HEALTHY, leader n1, term 7",
        "3 of 3 managers answer, 2 needed: 1 may fail",
    ]
    assert max(len(line) for line in document.text.splitlines()) <= 79  # one row a node on 80 columns
    assert set(document.value) == {
        "cluster",
        "name",
        "term",
        "leader",
        "quorum",
        "stale",
        "nodes",
        "services",
        "tasks",
        "faults",
    }
    assert document.value["quorum"] == {"voters": 3, "needed": 2, "reachable": 3, "held": True}


@pytest.mark.parametrize(
    ("states", "leader", "words"),
    [
        ({"n3": "down"}, "n1", "NO SPARE, leader n1"),
        ({"n2": "down", "n3": "down"}, None, "NO QUORUM, no leader"),
    ],
)
async def test_status_in_trouble(order, cluster, states, leader, words):
    cluster.states, cluster.leader = states, leader
    (document,) = (await order("status")).items
    assert words in document.text
