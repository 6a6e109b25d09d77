"""The rules of every operation, one transaction an entry: what happens, what is answered, what stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from swarmtui.objects.operations import Advance, Create, Put, Remove, Require, Transaction, Update, Verdict
from swarmtui.objects.records import (
    Cluster,
    Config,
    KeyValue,
    Lease,
    Node,
    NodeStatus,
    Secret,
    Service,
    Task,
    TaskStatus,
    UpdateStatus,
)
from swarmtui.objects.specs import EndpointSpec, NodeSpec, PortConfig, ReplicatedMode, ServiceSpec
from swarmtui.objects.states import Availability, NodeState, TaskState, UpdateState

if TYPE_CHECKING:
    from .conftest import Log

WEB = Service(id="s1", spec=ServiceSpec("web", mode=ReplicatedMode(3)))
TASK = Task(id="t1", service_id="s1", service_name="web", slot=1)
N1 = Node(id="n1", spec=NodeSpec(name="n1"))


def with_ports(id: str, name: str, *ports: int) -> Service:
    return Service(id=id, spec=ServiceSpec(name, endpoint_spec=EndpointSpec(tuple(PortConfig(port) for port in ports))))


# ------------------------------------------------------------------------------------------------------------ create


def test_a_created_object_is_stamped_with_index_and_time_of_its_entry(log: Log) -> None:
    result = log.do(Create(attrs.evolve(WEB, version=99, spec_version=98, created_at=97.0)))
    assert (result.verdict, result.index) == (Verdict.DONE, 1)
    stored = log.store.get(Service, "s1")
    assert stored == attrs.evolve(WEB, version=1, spec_version=1, created_at=1_001.0, updated_at=1_001.0)


def test_an_id_exists_once(log: Log) -> None:
    log.do(Create(WEB))
    result = log.do(Create(attrs.evolve(WEB, spec=ServiceSpec("other"))))
    assert (result.verdict, result.found) == (Verdict.EXISTS, 1)
    assert "service web already exists" in result.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (WEB, Service(id="s2", spec=ServiceSpec("WEB"))),
        (Secret(id="x1", name="key"), Secret(id="x2", name="Key")),
        (Config(id="c1", name="key"), Config(id="c2", name="KEY")),
    ],
    ids=["service", "secret", "config"],
)
def test_names_are_unique_in_any_case_of_letters(log: Log, first: Service, second: Service) -> None:
    log.do(Create(first))
    result = log.do(Create(second))
    assert result.verdict is Verdict.EXISTS
    assert result.text == f"{first.TABLE} {second.name} already exists (id {first.id})"
    log.do(Remove(first.TABLE, first.id))
    assert log.do(Create(second)).verdict is Verdict.DONE


def test_two_nodes_may_have_one_name(log: Log) -> None:
    log.do(Create(N1))
    assert log.do(Create(attrs.evolve(N1, id="n2"))).verdict is Verdict.DONE
    found = log.store.by_name(Node, "N1")
    assert found is not None
    assert found.id == "n1"


def test_a_port_is_published_by_one_service(log: Log) -> None:
    log.do(Create(with_ports("s1", "web", 8080, 8081)))
    result = log.do(Create(with_ports("s2", "api", 8082, 8081)))
    assert result.verdict is Verdict.EXISTS
    assert result.text == "port '8081' is already in use by service 'web' (s1) as an ingress port"
    assert log.store.count(Service) == 1


def test_a_port_is_free_again_when_its_service_gives_it_up(log: Log) -> None:
    log.do(Create(with_ports("s1", "web", 8080)))
    log.do(Update(with_ports("s1", "web", 8081), version=1))
    assert log.do(Create(with_ports("s2", "api", 8080))).verdict is Verdict.DONE
    log.do(Remove("service", "s1"))
    assert log.do(Create(with_ports("s3", "db", 8081))).verdict is Verdict.DONE


# ------------------------------------------------------------------------------------------------------------ update


def test_an_update_must_name_the_version_that_it_replaces(log: Log) -> None:
    log.do(Create(WEB))
    assert log.do(Update(WEB)).verdict is Verdict.INVALID


def test_an_update_of_what_is_not_there_is_refused(log: Log) -> None:
    assert log.do(Update(WEB, version=1)).verdict is Verdict.ABSENT


def test_an_update_at_another_version_names_both_versions_and_what_changed(log: Log) -> None:
    log.do(Create(WEB))
    five = attrs.evolve(WEB, spec=ServiceSpec("web", mode=ReplicatedMode(5)), previous_spec=WEB.spec)
    assert log.do(Update(five, version=1)).verdict is Verdict.DONE
    result = log.do(Update(WEB, version=1))
    assert (result.verdict, result.expected, result.found) == (Verdict.CONFLICT, 1, 2)
    assert result.text == (
        "update out of sequence: service web is at version 2, expected 1: "
        "its spec was changed at 2: mode.replicas 3 -> 5"
    )


def test_a_conflict_says_when_only_the_system_wrote(log: Log) -> None:
    log.do(Create(N1))
    log.do(Update(attrs.evolve(N1, status=NodeStatus(NodeState.READY)), version=1))
    result = log.do(Update(attrs.evolve(N1, spec=NodeSpec("n1", availability=Availability.DRAIN)), version=1))
    assert "its spec is unchanged, the system wrote status.state unknown -> ready" in result.text


def test_the_spec_version_changes_with_the_spec_only(log: Log) -> None:
    log.do(Create(N1))
    log.do(Update(attrs.evolve(N1, status=NodeStatus(NodeState.READY)), version=1))
    ready = log.store.get(Node, "n1")
    assert ready is not None
    assert (ready.version, ready.spec_version, ready.created_at, ready.updated_at) == (2, 1, 1_001.0, 1_002.0)
    log.do(Update(attrs.evolve(ready, spec=NodeSpec("n1", availability=Availability.DRAIN)), version=2))
    drained = log.store.get(Node, "n1")
    assert drained is not None
    assert (drained.version, drained.spec_version) == (3, 3)


def test_an_update_by_spec_version_leaves_what_the_system_wrote(log: Log) -> None:
    log.do(Create(WEB))
    running = UpdateStatus(UpdateState.UPDATING, 5.0)
    log.do(Update(attrs.evolve(WEB, update_status=running), version=1))
    five = attrs.evolve(WEB, spec=ServiceSpec("web", mode=ReplicatedMode(5)), previous_spec=WEB.spec)
    assert log.do(Update(five, spec_version=1)).verdict is Verdict.DONE
    stored = log.store.get(Service, "s1")
    assert stored is not None
    assert (stored.spec, stored.previous_spec, stored.update_status) == (five.spec, WEB.spec, running)
    assert (stored.version, stored.spec_version) == (3, 3)


def test_an_update_by_an_old_spec_version_is_out_of_sequence(log: Log) -> None:
    log.do(Create(WEB))
    log.do(Update(attrs.evolve(WEB, spec=ServiceSpec("web", mode=ReplicatedMode(5))), spec_version=1))
    result = log.do(Update(WEB, spec_version=1))
    assert (result.verdict, result.expected, result.found) == (Verdict.CONFLICT, 1, 2)
    assert "is at spec version 2, expected 1" in result.text


def test_settings_have_no_spec_and_are_replaced_whole(log: Log) -> None:
    cluster = Cluster(id="c", name="dev")
    log.do(Create(cluster))
    log.do(Update(attrs.evolve(cluster, shutting_down=True), spec_version=1))
    stored = log.store.get(Cluster, "c")
    assert stored is not None
    assert (stored.shutting_down, stored.version, stored.spec_version) == (True, 2, 2)


def test_a_service_may_not_be_renamed_to_a_name_that_is_taken(log: Log) -> None:
    log.do(Create(WEB))
    log.do(Create(Service(id="s2", spec=ServiceSpec("api"))))
    assert log.do(Update(Service(id="s2", spec=ServiceSpec("Web")), version=2)).verdict is Verdict.EXISTS
    assert log.do(Update(Service(id="s2", spec=ServiceSpec("API")), version=2)).verdict is Verdict.DONE
    assert log.store.by_name(Service, "api") == log.store.get(Service, "s2")


def test_no_update_makes_a_task_younger(log: Log) -> None:
    log.do(Create(attrs.evolve(TASK, status=TaskStatus(TaskState.FAILED))))
    result = log.do(Update(attrs.evolve(TASK, status=TaskStatus(TaskState.RUNNING)), version=1))
    assert (result.verdict, result.text) == (
        Verdict.INVALID,
        "the status of task web.1 only rises: failed cannot become running",
    )


# ------------------------------------------------------------------------------------------------- remove and require


def test_remove_obeys_the_version_it_names(log: Log) -> None:
    log.do(Create(WEB))
    assert log.do(Remove("service", "s1", version=7)).verdict is Verdict.CONFLICT
    assert log.do(Remove("service", "s1", spec_version=7)).verdict is Verdict.CONFLICT
    assert log.do(Remove("service", "s1", version=1)).verdict is Verdict.DONE
    assert log.store.get(Service, "s1") is None
    assert log.do(Remove("service", "s1")).verdict is Verdict.ABSENT
    assert log.do(Remove("kv", "color")).verdict is Verdict.ABSENT


def test_a_removed_key_may_be_written_again(log: Log) -> None:
    log.do(Put("color", b"green"))
    assert log.do(Remove("kv", "color", version=1)).verdict is Verdict.DONE
    assert log.do(Put("color", b"blue", expected=0)).verdict is Verdict.DONE


def test_require_guards_a_transaction_and_writes_nothing(log: Log) -> None:
    log.do(Create(N1))
    assert log.do(Require("node", "n1", version=1), Put("a", b"1")).verdict is Verdict.DONE
    node = log.store.get(Node, "n1")
    assert node is not None
    assert node.version == 1
    log.do(Update(attrs.evolve(N1, spec=NodeSpec("n1", availability=Availability.DRAIN)), version=1))
    for stale in (Require("node", "n1", version=1), Require("node", "n1", spec_version=1)):
        result = log.do(stale, Put("a", b"2"))
        assert (result.verdict, result.expected, result.found) == (Verdict.CONFLICT, 1, 3)
    assert log.do(Require("node", "n9", version=1), Put("a", b"2")).verdict is Verdict.ABSENT
    assert log.do(Require("node", "n1"), Put("a", b"2")).verdict is Verdict.EXISTS
    assert [pair.value for pair in log.store.keys("a")] == [b"1"]
    assert log.do(Require("node", "n9"), Put("a", b"2")).verdict is Verdict.DONE


def test_a_table_that_does_not_exist_is_refused(log: Log) -> None:
    assert log.do(Remove("network", "x")).verdict is Verdict.INVALID
    assert log.do(Require("network", "x")).verdict is Verdict.INVALID


# ----------------------------------------------------------------------------------------------------------- advance


def test_observed_and_desired_state_only_rise(log: Log) -> None:
    log.do(Create(TASK))
    log.do(Advance("t1", TaskStatus(TaskState.RUNNING, 5.0, pid=1), TaskState.SHUTDOWN))
    result = log.do(Advance("t1", TaskStatus(TaskState.STARTING, 9.0), TaskState.RUNNING))
    assert (result.verdict, result.skipped) == (Verdict.DONE, 1)
    task = log.store.get(Task, "t1")
    assert task is not None
    assert (task.status.state, task.desired_state, task.version) == (TaskState.RUNNING, TaskState.SHUTDOWN, 2)


def test_a_status_and_a_decision_are_judged_each_by_itself(log: Log) -> None:
    log.do(Create(attrs.evolve(TASK, status=TaskStatus(TaskState.RUNNING, 5.0))))
    result = log.do(Advance("t1", TaskStatus(TaskState.READY, 9.0), TaskState.SHUTDOWN))
    assert result.skipped == 0
    task = log.store.get(Task, "t1")
    assert task is not None
    assert (task.status.state, task.desired_state) == (TaskState.RUNNING, TaskState.SHUTDOWN)


def test_a_status_of_the_same_state_counts_if_it_is_later(log: Log) -> None:
    log.do(Create(attrs.evolve(TASK, status=TaskStatus(TaskState.RUNNING, 5.0, pid=1))))
    assert log.do(Advance("t1", TaskStatus(TaskState.RUNNING, 5.0, pid=2))).skipped == 1
    assert log.do(Advance("t1", TaskStatus(TaskState.RUNNING, 4.0, pid=3))).skipped == 1
    assert log.do(Advance("t1", TaskStatus(TaskState.RUNNING, 6.0, pid=4))).skipped == 0
    task = log.store.get(Task, "t1")
    assert task is not None
    assert task.status.pid == 4


def test_a_status_of_a_task_that_is_gone_is_skipped_and_the_others_are_not(log: Log) -> None:
    log.do(Create(TASK))
    result = log.do(Advance("t9", TaskStatus(TaskState.RUNNING)), Advance("t1", TaskStatus(TaskState.RUNNING)))
    assert (result.verdict, result.skipped) == (Verdict.DONE, 1)
    assert log.store.tasks(observed=TaskState.RUNNING)[0].id == "t1"


def test_an_assignment_sets_the_node_once(log: Log) -> None:
    log.do(Create(TASK))
    assigned = TaskStatus(TaskState.ASSIGNED, 1.0)
    assert log.do(Advance("t1", assigned, node_id="n1")).skipped == 0
    later = TaskStatus(TaskState.ASSIGNED, 2.0)
    assert log.do(Advance("t1", later, TaskState.SHUTDOWN, node_id="n2")).skipped == 1
    task = log.store.get(Task, "t1")
    assert task is not None
    assert (task.node_id, task.status, task.desired_state) == ("n1", assigned, TaskState.RUNNING)
    assert log.store.tasks(node_id="n1") == [task]
    assert log.store.tasks(node_id="") == []


def test_an_assignment_whose_status_is_behind_sets_no_node(log: Log) -> None:
    log.do(Create(attrs.evolve(TASK, status=TaskStatus(TaskState.SHUTDOWN))))
    assert log.do(Advance("t1", TaskStatus(TaskState.ASSIGNED), node_id="n1")).skipped == 1
    task = log.store.get(Task, "t1")
    assert task is not None
    assert task.node_id == ""


# ---------------------------------------------------------------------------------------------------------------- kv


def test_a_key_is_written_whatever_is_there(log: Log) -> None:
    log.do(Put("color", b"green"))
    log.do(Put("color", b"blue"))
    assert log.store.get(KeyValue, "color") == KeyValue(
        id="color", version=2, created_at=1_001.0, updated_at=1_002.0, value=b"blue"
    )


@pytest.mark.parametrize(
    ("expected", "found", "text"),
    [
        (0, 1, "key color is at version 1, expected not to exist"),
        (7, 1, "key color is at version 1, expected 7"),
    ],
)
def test_compare_and_swap_names_both_versions(log: Log, expected: int, found: int, text: str) -> None:
    log.do(Put("color", b"green"))
    result = log.do(Put("color", b"red", expected=expected))
    assert (result.verdict, result.expected, result.found) == (Verdict.CONFLICT, expected, found)
    assert text in result.text
    assert "update out of sequence" in result.text


def test_compare_and_swap_of_an_absent_key(log: Log) -> None:
    result = log.do(Put("color", b"red", expected=3))
    assert (result.verdict, result.expected, result.found) == (Verdict.CONFLICT, 3, 0)
    assert log.do(Put("color", b"red", expected=0)).verdict is Verdict.DONE
    assert log.do(Put("color", b"blue", expected=2)).verdict is Verdict.DONE


def test_of_eight_that_expect_the_same_version_one_succeeds(log: Log) -> None:
    log.do(Put("color", b"green"))
    results = [log.do(Put("color", b"%d" % writer, expected=1)) for writer in range(8)]
    assert [result.verdict for result in results] == [Verdict.DONE] + [Verdict.CONFLICT] * 7
    assert {(result.expected, result.found) for result in results[1:]} == {(1, 2)}


# ------------------------------------------------------------------------------------------------------ transactions


def test_a_transaction_happens_whole_or_not_at_all(log: Log) -> None:
    log.do(Create(WEB))
    log.do(Create(TASK))
    before = log.store.digest()
    result = log.do(
        Put("a", b"1"),
        Advance("t1", TaskStatus(TaskState.RUNNING)),
        Create(with_ports("s2", "api", 8080)),
        Remove("service", "s1"),
        Create(Service(id="s3", spec=ServiceSpec("web"))),
        Update(TASK, version=77),
    )
    assert result.verdict is Verdict.CONFLICT
    assert log.store.digest() == before
    assert log.store.by_name(Service, "web") is not None
    assert log.store.by_name(Service, "api") is None
    assert log.store.tasks(observed=TaskState.RUNNING) == []
    assert log.do(Create(with_ports("s9", "port", 8080))).verdict is Verdict.DONE


def test_operations_see_what_those_before_them_did(log: Log) -> None:
    log.do(Create(WEB))
    assert log.do(Remove("service", "s1"), Create(Service(id="s2", spec=ServiceSpec("web")))).verdict is Verdict.DONE
    assert log.do(Put("a", b"1"), Put("a", b"2")).verdict is Verdict.DONE
    assert [pair.value for pair in log.store.keys("")] == [b"2"]


# ------------------------------------------------------------------------------------------------------------ leases

HOLDER = Lease(id="l1", holder="ticker", ttl_s=5.0)


def test_keys_vanish_with_their_lease_in_one_step(log: Log) -> None:
    log.do(Create(HOLDER), Put("b", b"1", lease="l1"), Put("a", b"1", lease="l1"))
    log.do(Put("c", b"1"))
    watch = log.store.watch()
    assert log.do(Remove("lease", "l1")).verdict is Verdict.DONE
    changes = watch.take()
    assert isinstance(changes, list)
    assert [(change.index, change.id, change.after) for change in changes] == [
        (3, "l1", None),
        (3, "a", None),
        (3, "b", None),
    ]
    assert [pair.id for pair in log.store.keys("")] == ["c"]


def test_a_renewed_lease_is_not_removed_by_what_was_seen_before(log: Log) -> None:
    log.do(Create(HOLDER), Put("a", b"1", lease="l1"))
    assert log.do(Update(HOLDER, version=1)).verdict is Verdict.DONE
    assert log.do(Remove("lease", "l1", version=1)).verdict is Verdict.CONFLICT
    assert log.store.get(KeyValue, "a") is not None
    assert log.do(Remove("lease", "l1", version=2)).verdict is Verdict.DONE


def test_a_key_needs_a_lease_that_is_there(log: Log) -> None:
    result = log.do(Put("a", b"1", lease="l1"))
    assert result.verdict is Verdict.ABSENT
    assert "lease l1 does not exist" in result.text
    assert log.store.get(KeyValue, "a") is None
    assert log.do(Create(KeyValue("a", 0, 0.0, 0.0, b"", "l1"))).verdict is Verdict.ABSENT


def test_a_key_that_is_written_without_a_lease_stays(log: Log) -> None:
    log.do(Create(HOLDER), Put("a", b"1", lease="l1"))
    log.do(Put("a", b"2"))
    log.do(Remove("lease", "l1"))
    found = log.store.get(KeyValue, "a")
    assert found is not None
    assert (found.value, found.lease) == (b"2", "")


def test_a_lease_is_not_removed_in_the_entry_that_wrote_one_of_its_keys(log: Log) -> None:
    """Or the key could be written again in the same entry, and have one version for two values."""
    log.do(Create(HOLDER))
    put, remove = (Transaction((operation,)) for operation in (Put("a", b"1", lease="l1"), Remove("lease", "l1")))
    assert [result.verdict for result in log.entry(put, remove)] == [Verdict.DONE, Verdict.CONFLICT]
    assert log.store.get(Lease, "l1") is not None
    assert log.store.get(KeyValue, "a") is not None


def test_a_lease_holds_so_many_keys(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmtui.store.judge.LEASE_KEYS_MAX", 2)
    log.do(Create(HOLDER), Put("a", b"1", lease="l1"), Put("b", b"1", lease="l1"))
    assert log.do(Put("c", b"1", lease="l1")).verdict is Verdict.INVALID
