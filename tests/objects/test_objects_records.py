"""What records say of themselves."""

from __future__ import annotations

import pytest

from swarmtui.objects.records import Task


@pytest.mark.parametrize(
    ("slot", "node_name", "name"), [(2, "n3", "web.2"), (2, "", "web.2"), (0, "n3", "web.n3"), (0, "", "web.node-id")]
)
def test_a_task_is_named_for_its_slot_and_the_slot_of_a_global_one_is_its_node(slot, node_name, name):
    task = Task(id="t", service_id="s", service_name="web", slot=slot, node_id="node-id")
    assert task.name_on(node_name) == name
    assert task.name == task.name_on("")
