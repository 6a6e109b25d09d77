"""Objects as the Engine API shows them: the names that `docker inspect` and scripts rely on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects import engine
from swarmtui.objects.engine import NEVER, engine_time, to_engine
from swarmtui.objects.records import (
    TABLES,
    AnyRecord,
    Config,
    KeyValue,
    Lease,
    Node,
    NodeDescription,
    NodeStatus,
    Secret,
    Service,
    Task,
    TaskStatus,
    UpdateStatus,
)
from swarmtui.objects.specs import (
    ContainerSpec,
    EndpointSpec,
    NodeSpec,
    Placement,
    PortConfig,
    ReplicatedMode,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
)
from swarmtui.objects.states import NodeState, TaskState, UpdateState


@pytest.mark.parametrize(("ttl_s", "shown"), [(1.5, 1_500_000_000), (1e300, 9_208_512_000_000_000_000), (-1.0, 0)])
def test_a_duration_is_never_longer_than_the_engine_can_say(ttl_s: float, shown: int) -> None:
    assert to_engine(Lease(id="l", ttl_s=ttl_s))["Spec"]["TTL"] == shown


@given(st.from_type(AnyRecord))
def test_every_object_is_shown_as_json_with_its_id_and_version(record: AnyRecord) -> None:
    shown = json.loads(json.dumps(to_engine(record)))
    assert (shown["ID"], shown["Version"]["Index"]) == (record.id, record.version)
    assert {"CreatedAt", "UpdatedAt", "Spec"} <= set(shown)


def test_every_table_has_a_shape() -> None:
    assert set(engine._REST) == set(TABLES.values())


def test_a_service_is_shown_as_docker_shows_it() -> None:
    spec = ServiceSpec(
        "web",
        labels={"tier": "front"},
        task_template=TaskSpec(
            container_spec=ContainerSpec(image="python:3f2a91c", args=("python", "app.py")),
            restart_policy=RestartPolicy(delay_ns=1_000_000_000),
            placement=Placement(constraints=("node.role != manager",), preferences=("node.labels.zone",)),
        ),
        mode=ReplicatedMode(3),
        endpoint_spec=EndpointSpec((PortConfig(8080, 80),)),
    )
    shown = to_engine(Service(id="s1", version=12, created_at=1.5, updated_at=0.0, spec=spec))
    assert shown["Version"] == {"Index": 12}
    assert (shown["CreatedAt"], shown["UpdatedAt"]) == ("1970-01-01T00:00:01.500000Z", NEVER)
    assert shown["Spec"]["Name"] == "web"
    assert shown["Spec"]["Labels"] == {"tier": "front"}
    assert shown["Spec"]["Mode"] == {"Replicated": {"Replicas": 3}}
    template = shown["Spec"]["TaskTemplate"]
    assert template["ContainerSpec"]["Args"] == ["python", "app.py"]
    assert template["RestartPolicy"] == {"Condition": "any", "Delay": 1_000_000_000, "MaxAttempts": 0, "Window": 0}
    assert template["Placement"]["Preferences"] == [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}]
    assert shown["Spec"]["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}
    ]
    assert "PreviousSpec" not in shown
    assert "UpdateStatus" not in shown


def test_an_update_is_shown_by_the_word_that_docker_has_for_its_state() -> None:
    status = UpdateStatus(UpdateState.ROLLBACK_PAUSED, 1.5, message="stuck")
    shown = to_engine(Service(id="s1", spec=ServiceSpec("web"), update_status=status))["UpdateStatus"]
    assert shown == {"State": "rollback_paused", "StartedAt": "1970-01-01T00:00:01.500000Z", "Message": "stuck"}
    assert type(shown["State"]) is str


def test_a_running_task_shows_its_state_in_small_letters_and_its_process() -> None:
    status = TaskStatus(TaskState.RUNNING, timestamp=2.0, message="started", pid=4711, port=20_001)
    shown = to_engine(Task(id="t1", service_id="s1", service_name="web", slot=2, node_id="n1", status=status))
    assert (shown["Slot"], shown["NodeID"], shown["DesiredState"]) == (2, "n1", "running")
    assert shown["Status"]["State"] == "running"
    assert shown["Status"]["ContainerStatus"] == {"ContainerID": "", "PID": 4711, "ExitCode": 0}
    assert shown["Status"]["PortStatus"]["Ports"][0]["PublishedPort"] == 20_001
    assert "Err" not in shown["Status"]


def test_a_task_of_a_global_service_has_no_slot() -> None:
    assert "Slot" not in to_engine(Task(id="t1", service_id="s1", service_name="agent", node_id="n1"))


def test_a_node_shows_its_status_and_description() -> None:
    node = Node(
        id="n1",
        spec=NodeSpec(name="n1"),
        description=NodeDescription(os="linux", architecture="x86_64"),
        status=NodeStatus(NodeState.READY, address="127.0.0.1:7101"),
    )
    shown = to_engine(node)
    assert shown["Status"] == {"State": "ready", "Message": "", "Addr": "127.0.0.1:7101"}
    assert shown["Description"]["Hostname"] == "n1"
    assert shown["Spec"]["Availability"] == "active"
    assert "ManagerStatus" not in shown


def test_a_secret_never_shows_its_data() -> None:
    shown = to_engine(Secret(id="x", name="password", data=b"hunter2"))
    assert "hunter2" not in str(shown)
    assert "Data" not in shown["Spec"]


@pytest.mark.parametrize("record", [Config(id="c", name="c", data=b"green"), KeyValue("color", 0, 0.0, 0.0, b"green")])
def test_values_are_base64(record: Config | KeyValue) -> None:
    assert to_engine(record)["Spec"]["Data"] == "Z3JlZW4="


@pytest.mark.parametrize("seconds", [0, -1e30, 1e30, float("nan"), float("inf")])
def test_what_no_calendar_holds_is_never(seconds: float) -> None:
    assert engine_time(seconds) == NEVER
