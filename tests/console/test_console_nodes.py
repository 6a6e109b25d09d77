"""Nodes that come, go and change their role while the console looks on."""

from __future__ import annotations

import attrs

from swarmtui.console.model.fold import Model
from swarmtui.console.model.observations import NodeLost, NodesSeen
from swarmtui.console.rehearsal import BEGAN, rehearsal_manifest
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.states import NodeRole

MANIFEST = rehearsal_manifest(3, 1)
JOINED = NodeEntry(id="joined", name="n9", role=NodeRole.MANAGER, address="127.0.0.1:9")


def test_a_node_that_joins_is_shown_and_one_that_leaves_is_not():
    model = Model(MANIFEST)
    model.fold(NodesSeen((*MANIFEST.nodes, JOINED)), BEGAN)
    assert [node.name for node in model.picture(BEGAN).nodes] == ["n1", "n2", "n3", "n9", "n4"]
    model.fold(NodesSeen(MANIFEST.nodes[1:]), BEGAN)
    assert [node.name for node in model.picture(BEGAN).nodes] == ["n2", "n3", "n4"]
    model.fold(NodeLost("n1", "a last word"), BEGAN)  # of one that is gone


def test_what_is_known_of_a_node_survives_its_promotion_and_not_its_replacement():
    model = Model(MANIFEST)
    worker = MANIFEST.nodes[3]
    model.nodes["n4"].pid = 77
    model.fold(NodesSeen((*MANIFEST.nodes[:3], attrs.evolve(worker, role=NodeRole.MANAGER))), BEGAN)
    assert (model.nodes["n4"].is_manager, model.nodes["n4"].pid) == (True, 77)
    model.fold(NodesSeen((*MANIFEST.nodes[:3], attrs.evolve(worker, id="another"))), BEGAN)
    assert (model.nodes["n4"].id, model.nodes["n4"].pid) == ("another", 0)
    assert model.names[worker.id] == "n4"
