"""Replicated services: scale, slots, restarts, node death, drain and pause, by the rules of swarm mode."""

from __future__ import annotations

import pytest

from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Node
from swarmtui.objects.specs import RestartPolicy
from swarmtui.objects.states import Availability, NodeState, RestartCondition, TaskState
from tests.manager.minicluster import MiniCluster, Program


def test_nodes_become_ready(cluster: MiniCluster) -> None:
    assert [node.status.state for node in cluster.store.all(Node)] == [NodeState.READY] * 3


def test_creates_the_wanted_number_spread_over_nodes(cluster: MiniCluster) -> None:
    cluster.service(replicas=6)
    cluster.run(0.1)
    assert [task.slot for task in cluster.running()] == [1, 2, 3, 4, 5, 6]
    assert cluster.spread() == {"n1": 2, "n2": 2, "n3": 2}


def test_one_to_fifty_needs_few_transactions(cluster: MiniCluster) -> None:
    cluster.service(replicas=1)
    cluster.run(0.1)
    before = len(cluster.transactions)
    cluster.scale("web", 50)
    cluster.run(0.1)
    assert len(cluster.running()) == 50
    assert len(cluster.transactions) - before < 12


def test_scale_of_a_thousand_is_cut_into_transactions(cluster: MiniCluster) -> None:
    cluster.service(replicas=1000)
    cluster.run(1.0)
    assert len(cluster.running()) == 1000
    cluster.scale("web", 0)
    cluster.run(1.0)
    assert cluster.tasks() == []


def test_scale_down_takes_from_the_fullest_and_up_reuses_the_lowest_numbers(cluster: MiniCluster) -> None:
    for name in ("n1", "n2"):
        cluster.edit_node(name, availability=Availability.PAUSE)
    cluster.service(replicas=3)
    cluster.run(0.1)
    for name in ("n1", "n2"):
        cluster.activate(name)
    cluster.scale("web", 5)
    cluster.run(0.1)
    assert cluster.spread() == {"n1": 1, "n2": 1, "n3": 3}
    cluster.scale("web", 3)
    cluster.run(0.1)
    assert cluster.spread() == {"n1": 1, "n2": 1, "n3": 1}
    assert {task.slot for task in cluster.running()} == {1, 4, 5}
    cluster.scale("web", 4)
    cluster.run(0.1)
    assert {task.slot for task in cluster.running()} == {1, 2, 4, 5}


def test_at_most_one_undecided_transaction_about_a_service(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.lag = 1.0
    for replicas in (4, 5, 6):
        cluster.round()
        cluster.scale("web", replicas)
    cluster.round()
    assert len([batch for batch in cluster.in_flight if batch.driver.reconciler.name == "replicated"]) == 1
    cluster.lag = 0.0
    cluster.run(0.1)
    assert sorted(cluster.spread().values()) == [2, 2, 2]


def test_scale_down_prefers_what_does_not_run(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(0.1)
    cluster.edit_node("n1", availability=Availability.PAUSE)
    cluster.edit_node("n2", availability=Availability.PAUSE)
    cluster.edit_node("n3", availability=Availability.PAUSE)
    cluster.scale("web", 5)
    cluster.run(0.1)
    cluster.scale("web", 3)
    cluster.run(0.1)
    assert len(cluster.running()) == 3
    assert [task.slot for task in cluster.tasks()] == [1, 2, 3]


def test_removed_service_leaves_no_tasks(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(stop_s=2.0)
    cluster.service(replicas=4)
    cluster.run(0.1)
    cluster.remove_service("web")
    cluster.run(1.0)
    assert all(task.desired_state is TaskState.REMOVE for task in cluster.tasks())
    assert len(cluster.tasks()) == 4
    cluster.run(2.0)
    assert cluster.tasks() == []
    assert all(not agent.tasks for agent in cluster.agents.values())


def test_a_failed_task_is_replaced_in_its_slot_after_the_delay(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(ends=10.0, code=1)
    cluster.service(replicas=1)
    cluster.run(10.5)
    old, new = cluster.tasks()
    assert (old.status.state, old.desired_state) == (TaskState.FAILED, TaskState.SHUTDOWN)
    assert (new.slot, new.status.state, new.desired_state) == (1, TaskState.READY, TaskState.READY)
    assert new.port_hint == old.status.port
    cluster.run(0.45)
    assert not cluster.running()
    cluster.run(0.1)
    assert [task.id for task in cluster.running()] == [new.id]


def test_own_delay_counts_before_the_clusters(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(ends=1.0, code=1)
    cluster.service(restart=RestartPolicy(delay_ns=4 * SECOND_NS))
    cluster.run(4.9)
    assert not cluster.running()
    cluster.run(0.2)
    assert cluster.running()


def test_a_rejected_task_is_not_replaced_in_a_tight_loop(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(rejected=True)
    cluster.service()
    cluster.run(10.0)
    assert 3 <= len(cluster.tasks()) <= 5  # the history limit
    assert len(cluster.placed) <= 22


NONE, ON_FAILURE, ANY = RestartCondition.NONE, RestartCondition.ON_FAILURE, RestartCondition.ANY


@pytest.mark.parametrize(
    ("condition", "code", "attempts", "window_s", "started"),
    [
        (NONE, 0, 0, 0, 1),
        (NONE, 1, 0, 0, 1),
        (ON_FAILURE, 0, 0, 0, 1),
        (ON_FAILURE, 1, 0, 0, None),
        (ON_FAILURE, 1, 2, 0, 3),
        (ON_FAILURE, 1, 2, 60, 3),
        (ON_FAILURE, 1, 2, 1, None),  # attempts are further apart than the window
        (ANY, 0, 0, 0, None),
        (ANY, 1, 0, 0, None),
        (ANY, 0, 3, 0, 4),
        (ANY, 1, 1, 0, 2),
        (ANY, 1, 8, 0, 9),  # more than the history limit would keep
    ],
)
def test_restart_policy(
    cluster: MiniCluster, condition: RestartCondition, code: int, attempts: int, window_s: int, started: int | None
) -> None:
    cluster.programs["web"] = Program(ends=2.0, code=code)
    policy = RestartPolicy(condition, delay_ns=SECOND_NS // 2, max_attempts=attempts, window_ns=window_s * SECOND_NS)
    cluster.service(replicas=1, restart=policy)
    cluster.run(60.0)
    count = len(cluster.placed)
    if started is None:
        assert count > 15
    else:
        assert count == started
        assert not cluster.running()
    cluster.lead()  # a new leader counts the same
    cluster.run(20.0)
    assert started is None or len(cluster.placed) == started


def test_the_delay_between_attempts_is_no_part_of_the_window_whoever_sets_it(cluster: MiniCluster) -> None:
    """With the default of five seconds, two attempts would never lie within three."""
    cluster.edit_cluster(restart_delay_s=5.0)
    cluster.programs["web"] = Program(ends=0.2, code=1)
    cluster.service(replicas=1, restart=RestartPolicy(max_attempts=2, window_ns=3 * SECOND_NS))
    cluster.run(60.0)
    assert len(cluster.placed) == 3


def test_finished_slots_stay_occupied_until_an_update(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(ends=1.0, code=0)
    policy = RestartPolicy(RestartCondition.ON_FAILURE)
    cluster.service(replicas=2, restart=policy)
    cluster.run(3.0)
    assert len(cluster.tasks()) == 2
    cluster.scale("web", 3)
    cluster.run(3.0)
    assert [task.slot for task in cluster.tasks()] == [1, 2, 3]
    cluster.programs["web"] = Program()
    cluster.respec(replicas=3, restart=policy, args=("other",))
    cluster.run(5.0)
    assert [task.slot for task in cluster.running()] == [1, 2, 3]


def test_killed_node_is_down_at_once_and_its_tasks_run_elsewhere_without_delay(cluster: MiniCluster) -> None:
    cluster.service(replicas=6)
    cluster.run(1.0)
    others = {task.id for task in cluster.running() if task.node_id != "n2"}
    cluster.kill("n2")
    cluster.run(0.1)
    assert cluster.store.get(Node, "n2").status.state is NodeState.DOWN
    assert cluster.spread() == {"n1": 3, "n2": 0, "n3": 3}
    assert others <= {task.id for task in cluster.running()}
    assert any(text.startswith("n2 down: its session ended") for text in cluster.said)


def test_own_restart_delay_does_not_hold_up_what_was_lost_with_its_node(cluster: MiniCluster) -> None:
    cluster.service(replicas=3, restart=RestartPolicy(delay_ns=30 * SECOND_NS))
    cluster.run(1.0)
    cluster.kill("n2")
    cluster.run(0.1)
    assert len(cluster.running()) == 3


def test_returned_node_stops_its_old_tasks_and_nothing_moves_back(cluster: MiniCluster) -> None:
    cluster.service(replicas=6)
    cluster.run(1.0)
    cluster.kill("n2")
    cluster.run(1.0)
    before = {task.id for task in cluster.running()}
    cluster.start("n2")
    cluster.run(2.0)
    assert cluster.store.get(Node, "n2").status.state is NodeState.READY
    assert {task.id for task in cluster.running()} == before
    assert not cluster.agents["n2"].running()


def test_paused_node_is_down_after_silence_and_its_processes_are_stopped_when_it_returns(cluster: MiniCluster) -> None:
    cluster.overlap_allowed = True
    cluster.service(replicas=3)
    cluster.run(1.0)
    cluster.pause("n2")
    took = cluster.run_until(lambda: cluster.store.get(Node, "n2").status.state is NodeState.DOWN)
    assert 1.9 <= took <= 3.3
    assert any("n2 down: silent for 3" in text for text in cluster.said)
    cluster.run(0.1)
    assert len(cluster.running()) == 3
    cluster.resume("n2")
    cluster.run(0.5)
    assert not cluster.agents["n2"].running()
    assert cluster.store.get(Node, "n2").status.state is NodeState.READY


def test_docker_profile_waits_after_a_death_and_never_dials() -> None:
    cluster = MiniCluster(
        3,
        death_is_down=False,
        node_timeout_s=15.0,
        agent_heartbeat_s=5.0,
        restart_delay_s=5.0,
        restart_delay_after_death_s=5.0,
    )
    cluster.run(1.0)
    cluster.service(replicas=3)
    cluster.run(1.0)
    cluster.kill("n2")
    took = cluster.run_until(lambda: cluster.store.get(Node, "n2").status.state is NodeState.DOWN)
    assert 13.0 < took < 16.5
    assert len(cluster.running()) == 2
    cluster.run(4.8)
    assert len(cluster.running()) == 2
    cluster.run(0.4)
    assert len(cluster.running()) == 3


def test_drain_moves_everything_without_delay_and_activate_brings_nothing_back(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(stop_s=1.0)
    cluster.service(replicas=6)
    cluster.run(0.1)
    cluster.drain("n2")
    cluster.run(0.5)
    held = [task for task in cluster.tasks() if task.desired_state is TaskState.READY]
    assert len(held) == 2  # until those on n2 have stopped
    cluster.run(0.6)
    assert cluster.spread() == {"n1": 3, "n2": 0, "n3": 3}
    cluster.activate("n2")
    cluster.run(1.0)
    assert cluster.spread() == {"n1": 3, "n2": 0, "n3": 3}


def test_a_replacement_waits_a_minute_at_most_for_a_task_that_does_not_stop(cluster: MiniCluster) -> None:
    cluster.overlap_allowed = True
    cluster.programs["web"] = Program(stop_s=1000.0)
    cluster.service(replicas=1)
    cluster.run(0.1)
    cluster.drain(cluster.running()[0].node_id)
    cluster.run(69.0)
    assert not cluster.running()
    cluster.run(2.0)
    assert len(cluster.running()) == 1


def test_pause_takes_no_new_tasks_and_keeps_the_old(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(0.1)
    cluster.edit_node("n2", availability=Availability.PAUSE)
    cluster.scale("web", 9)
    cluster.run(0.1)
    assert cluster.spread() == {"n1": 4, "n2": 1, "n3": 4}


def test_new_leader_disturbs_nothing_and_continues(cluster: MiniCluster) -> None:
    cluster.service(replicas=6)
    cluster.run(1.0)
    before = {task.id for task in cluster.running()}
    cluster.lead()
    cluster.run(10.0)
    assert {task.id for task in cluster.running()} == before
    assert [node.status.state for node in cluster.store.all(Node)] == [NodeState.READY] * 3


def test_new_leader_finds_the_killed_one_by_dialling(cluster: MiniCluster) -> None:
    cluster.service(replicas=6)
    cluster.run(1.0)
    cluster.kill("n1")
    cluster.lead()
    cluster.run(0.2)
    assert cluster.spread() == {"n1": 0, "n2": 3, "n3": 3}


def test_new_leader_counts_silence_from_the_change_and_twice_as_long(cluster: MiniCluster) -> None:
    cluster.overlap_allowed = True
    cluster.service(replicas=3)
    cluster.run(1.0)
    cluster.pause("n1")
    cluster.lead()
    cluster.run(2.0)
    assert cluster.store.get(Node, "n1").status.state is NodeState.UNKNOWN
    assert len([task for task in cluster.running() if task.node_id == "n1"]) == 1
    cluster.run(3.5)
    assert cluster.store.get(Node, "n1").status.state is NodeState.UNKNOWN
    cluster.run(1.0)
    assert cluster.store.get(Node, "n1").status.state is NodeState.DOWN
    assert cluster.on("n1") == []
    assert len(cluster.running()) == 3


def test_cluster_just_started_trusts_no_refused_dial_yet(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(1.0)
    for name in ("n1", "n2", "n3"):
        cluster.kill(name)
    cluster.lead(trust_refusals_from=cluster.now + 3.0)
    cluster.start("n1")
    cluster.start("n2")
    cluster.run(1.0)
    cluster.start("n3")
    cluster.run(4.0)
    assert cluster.spread() == {"n1": 1, "n2": 1, "n3": 1}
    assert not any("n3 down" in text for text in cluster.said)


def test_shutting_down_restarts_nothing_and_everything_comes_back(cluster: MiniCluster) -> None:
    cluster.service(replicas=3, restart=RestartPolicy(RestartCondition.NONE))
    cluster.run(1.0)
    cluster.edit_cluster(shutting_down=True)
    for agent in cluster.agents.values():
        for process in agent.tasks.values():
            agent.set(process, TaskState.FAILED, exit_code=143)
    cluster.run(1.0)
    assert [task.status.state for task in cluster.tasks()] == [TaskState.SHUTDOWN] * 3
    for name in cluster.agents:
        cluster.kill(name)
    cluster.run(20.0)
    assert [node.status.state for node in cluster.store.all(Node)] == [NodeState.READY] * 3
    cluster.lead()
    for name in cluster.agents:
        cluster.start(name)
    cluster.edit_cluster(shutting_down=False)
    cluster.run(1.0)
    assert cluster.spread() == {"n1": 1, "n2": 1, "n3": 1}


def test_history_is_kept_to_the_limit_and_lowering_it_prunes_at_once(cluster: MiniCluster) -> None:
    cluster.programs["web"] = Program(ends=0.5, code=1)
    cluster.service(replicas=2)
    cluster.run(30.0)
    for slot in (1, 2):
        assert len([task for task in cluster.tasks() if task.slot == slot]) == 5
    cluster.edit_cluster(task_history_limit=2)
    cluster.run(0.01)
    for slot in (1, 2):
        assert len([task for task in cluster.tasks() if task.slot == slot]) == 2


def test_asked_twice_nothing_is_proposed_twice(cluster: MiniCluster) -> None:
    cluster.programs["flaky"] = Program(ends=3.0, code=1)
    cluster.service(replicas=4)
    cluster.service("flaky", 2)
    cluster.service("agent", None)
    cluster.service("big", 2, cpus=99)
    for _ in range(20):
        cluster.run(0.37)
        assert cluster.manager.look(cluster.moment) == []
        for reconciler in cluster.manager.reconcilers:
            reconciler.look_at_everything(cluster.moment)
        assert cluster.manager.look(cluster.moment) == []
