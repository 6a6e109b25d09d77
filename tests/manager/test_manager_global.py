"""Global services and updates."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Service
from swarmtui.objects.specs import RestartPolicy, UpdateConfig
from swarmtui.objects.states import Availability, RestartCondition, TaskState, UpdateOrder, UpdateState
from tests.manager.minicluster import MiniCluster, Program


def test_one_task_on_every_node_also_on_new_ones(cluster: MiniCluster) -> None:
    cluster.service("agent", None)
    cluster.run(0.1)
    assert cluster.spread("agent") == {"n1": 1, "n2": 1, "n3": 1}
    cluster.add_node("n4")
    cluster.run(0.5)
    assert cluster.spread("agent") == {"n1": 1, "n2": 1, "n3": 1, "n4": 1}


def test_drained_node_loses_its_task_and_gets_one_when_active_again(cluster: MiniCluster) -> None:
    cluster.service("agent", None)
    cluster.run(0.1)
    cluster.drain("n2")
    cluster.run(0.5)
    assert cluster.spread("agent") == {"n1": 1, "n2": 0, "n3": 1}
    cluster.activate("n2")
    cluster.run(0.5)
    assert cluster.spread("agent") == {"n1": 1, "n2": 1, "n3": 1}


def test_constraints_are_respected_and_followed(cluster: MiniCluster) -> None:
    cluster.service("agent", None, constraints=("node.labels.zone != b",))
    cluster.run(0.1)
    assert cluster.spread("agent") == {"n1": 1, "n2": 0, "n3": 1}
    cluster.edit_node("n2", labels={"zone": "a"})
    cluster.edit_node("n1", labels={"zone": "b"})
    cluster.run(0.5)
    assert cluster.spread("agent") == {"n1": 0, "n2": 1, "n3": 1}


def test_killed_node_gets_its_task_back_when_it_returns(cluster: MiniCluster) -> None:
    cluster.service("agent", None)
    cluster.run(0.1)
    cluster.kill("n2")
    cluster.run(1.0)
    assert cluster.spread("agent") == {"n1": 1, "n2": 0, "n3": 1}
    cluster.start("n2")
    cluster.run(0.5)
    assert cluster.spread("agent") == {"n1": 1, "n2": 1, "n3": 1}


def test_a_task_that_does_without_its_node_says_why_once(cluster: MiniCluster) -> None:
    """Of replicated services it was told why each task moves, of global ones nothing."""
    cluster.service("agent", None)
    cluster.run(0.1)
    cluster.kill("n2")
    cluster.run(1.0)
    cluster.start("n2")
    cluster.drain("n3")
    cluster.run(1.0)
    cluster.edit_node("n1", labels={"zone": "elsewhere"})
    cluster.run(1.0)
    assert [text for text in cluster.said if text.startswith("agent on")] == [
        "agent on n2 is lost: n2 is down",
        "agent on n3 stops: n3 is drained",
    ]


def test_failed_task_is_restarted_but_not_on_a_paused_node(cluster: MiniCluster) -> None:
    cluster.programs["agent"] = Program(ends=1.0, code=1)
    cluster.service("agent", None)
    cluster.run(0.1)
    cluster.edit_node("n2", availability=Availability.PAUSE)
    cluster.run(2.2)
    assert {task.node_id for task in cluster.running("agent")} == {"n1", "n3"}
    assert all(task.desired_state is TaskState.SHUTDOWN for task in cluster.tasks("agent") if task.node_id == "n2")
    cluster.activate("n2")
    cluster.run(0.1)
    assert len(cluster.on("n2", "agent")) == 1


def test_restart_condition_holds_for_each_node(cluster: MiniCluster) -> None:
    cluster.programs["agent"] = Program(ends=1.0, code=0)
    cluster.service("agent", None, restart=RestartPolicy(RestartCondition.ON_FAILURE))
    cluster.run(10.0)
    assert len(cluster.tasks("agent")) == 3
    assert not cluster.running("agent")


def test_removed_node_takes_its_global_tasks_with_it(cluster: MiniCluster) -> None:
    cluster.service("agent", None)
    cluster.service("web", 3)
    cluster.run(0.1)
    from swarmtui.objects.operations import Remove
    from swarmtui.objects.records import Node

    cluster.kill("n2")
    cluster.apply(Remove(Node.TABLE, "n2"))
    cluster.run(1.0)
    assert {task.node_id for task in cluster.tasks("agent")} == {"n1", "n3"}
    assert len(cluster.running("web")) == 3
    assert all(task.status.state is TaskState.ORPHANED for task in cluster.tasks("web") if task.node_id == "n2")


# ------------------------------------------------------------------------------------------------------------ updates

START_FIRST = UpdateConfig(order=UpdateOrder.START_FIRST)


def versions(cluster: MiniCluster, name: str = "web") -> list[str]:
    return [task.spec.container_spec.args[0] for task in cluster.running(name)]


def state_of(cluster: MiniCluster, name: str = "web") -> str:
    service = cluster.store.get(Service, f"id-{name}")
    assert service is not None
    return service.update_status.state if service.update_status is not None else ""


@pytest.mark.parametrize("replicas", [3, None])
def test_changed_template_replaces_tasks_one_by_one(cluster: MiniCluster, replicas: int | None) -> None:
    cluster.programs["web"] = Program(stop_s=1.0)
    cluster.service("web", replicas)
    cluster.run(0.1)
    cluster.respec("web", replicas, args=("new",))
    fewest = 3
    for _ in range(40):
        cluster.run(0.1)
        fewest = min(fewest, len(cluster.running()))
        assert state_of(cluster) in ("updating", "completed")
    assert fewest == 2
    assert versions(cluster) == ["new"] * 3
    assert state_of(cluster) == "completed"


def test_scale_or_update_config_alone_replaces_nothing(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(0.1)
    before = {task.id for task in cluster.running()}
    cluster.respec(replicas=4, update=START_FIRST)
    cluster.run(1.0)
    assert before < {task.id for task in cluster.running()}
    assert state_of(cluster) == ""


def test_force_replaces_everything(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(0.1)
    before = {task.id for task in cluster.running()}
    cluster.respec(replicas=3, force=1)
    cluster.run(1.0)
    assert len(cluster.running()) == 3
    assert not before & {task.id for task in cluster.running()}


def test_start_first_never_has_fewer_running(cluster: MiniCluster) -> None:
    cluster.overlap_allowed = True
    cluster.programs["web"] = Program(stop_s=1.0)
    cluster.service(replicas=3, update=START_FIRST)
    cluster.run(0.1)
    cluster.respec(replicas=3, update=START_FIRST, args=("new",))
    for _ in range(300):
        cluster.round()
        assert len(cluster.running()) >= 3
    cluster.run(2.0)
    assert versions(cluster) == ["new"] * 3


@pytest.mark.parametrize("replicas", [3, None])
def test_start_first_is_not_over_while_a_new_task_is_restarted_beside_the_old_one(
    cluster: MiniCluster, replicas: int | None
) -> None:
    """The last slot's new task failed and was restarted: nobody waited for it to run, and the old one ran on for ever."""
    cluster.overlap_allowed = True
    cluster.service("web", replicas, update=START_FIRST)
    cluster.run(0.1)
    cluster.programs["web"] = Program(rejected=True)
    cluster.respec("web", replicas, update=attrs.evolve(START_FIRST, parallelism=0), args=("new",))
    for _ in range(20):
        cluster.run(0.1)
        assert state_of(cluster) == "updating"
    cluster.programs["web"] = Program()
    cluster.run(20.0)
    assert versions(cluster) == ["new"] * 3
    assert state_of(cluster) == "completed"


def test_start_first_with_a_failing_version_keeps_the_old_tasks(cluster: MiniCluster) -> None:
    cluster.overlap_allowed = True
    once = RestartPolicy(max_attempts=2)
    cluster.service(replicas=2, update=START_FIRST, restart=once)
    cluster.run(0.1)
    cluster.programs["web"] = Program(rejected=True)
    cluster.respec(replicas=2, update=START_FIRST, restart=once, args=("new",))
    cluster.run(30.0)
    assert versions(cluster) == ["sleep", "sleep"]
    tried = [task for task in cluster.tasks() if task.spec.container_spec.args[0] == "new"]
    assert len(tried) == 6
    cluster.programs["web"] = Program()
    cluster.respec(replicas=2, update=START_FIRST, restart=once, args=("newer",))
    cluster.run(5.0)
    assert versions(cluster) == ["newer", "newer"]


def test_parallelism_and_delay(cluster: MiniCluster) -> None:
    config = UpdateConfig(parallelism=2, delay_ns=4 * SECOND_NS)
    cluster.service(replicas=6, update=config)
    cluster.run(0.1)
    cluster.respec(replicas=6, update=config, args=("new",))
    cluster.run(1.0)
    assert versions(cluster).count("new") == 2
    cluster.run(4.0)
    assert versions(cluster).count("new") == 4
    cluster.run(4.0)
    assert versions(cluster).count("new") == 6


def test_an_update_that_is_over_delays_no_other(cluster: MiniCluster) -> None:
    config = UpdateConfig(delay_ns=60 * SECOND_NS)
    cluster.service(replicas=1, update=config)
    cluster.run(0.1)
    for version in ("new", "newer"):
        cluster.respec(replicas=1, update=config, args=(version,))
        cluster.run(1.0)
        assert versions(cluster) == [version]
        assert state_of(cluster) == "completed"


def test_new_leader_continues_the_update(cluster: MiniCluster) -> None:
    config = UpdateConfig(delay_ns=SECOND_NS)
    cluster.service(replicas=4, update=config)
    cluster.run(0.1)
    cluster.respec(replicas=4, update=config, args=("new",))
    cluster.run(1.5)
    assert 0 < versions(cluster).count("new") < 4
    cluster.lead()
    cluster.run(6.0)
    assert versions(cluster) == ["new"] * 4
    assert state_of(cluster) == "completed"


def test_paused_update_is_left_alone(cluster: MiniCluster) -> None:
    import attrs

    from swarmtui.objects.operations import Update
    from swarmtui.objects.records import UpdateStatus

    cluster.service(replicas=2)
    cluster.run(0.1)
    service = cluster.store.get(Service, "id-web")
    cluster.apply(
        Update(attrs.evolve(service, update_status=UpdateStatus(UpdateState.PAUSED)), version=service.version)
    )
    cluster.respec(replicas=3, args=("new",))
    cluster.run(1.0)
    assert sorted(versions(cluster)) == ["new", "sleep", "sleep"]


def test_constraint_change_leaves_tasks_that_still_fit(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(0.1)
    before = {task.node_id: task.id for task in cluster.running()}
    cluster.respec(replicas=3, constraints=("node.labels.zone != a",))
    cluster.run(1.0)
    after = {task.id: task.node_id for task in cluster.running()}
    assert after[before["n2"]] == "n2"
    assert after[before["n3"]] == "n3"
    assert "n1" not in after.values()
