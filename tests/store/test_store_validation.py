"""Limits: every one is a sentence that names what would be valid."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.objects.operations import Advance, Create, Operation, Put, Remove, Require, Transaction, Update
from swarmtui.objects.records import Config, KeyValue, Node, Secret, Service, Task, TaskStatus
from swarmtui.objects.specs import (
    EndpointSpec,
    NodeSpec,
    PortConfig,
    ReplicatedMode,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
)
from swarmtui.objects.states import TaskState
from swarmtui.store.validation import check

TASK = Task(id="t1", service_id="s1", service_name="web", slot=1)


def service(name: str = "web", **spec: object) -> Service:
    return Service(id="s1", spec=attrs.evolve(ServiceSpec(name), **spec))


def published(*ports: PortConfig) -> Create:
    return Create(service(endpoint_spec=EndpointSpec(ports)))


@pytest.mark.parametrize(
    "operation",
    [
        Put("k" * 1024, bytes(1024 * 1024)),
        Put("color", b"green", expected=0),
        Create(service()),
        Create(service("a-B_9")),
        published(PortConfig(8080), PortConfig(8080, protocol="udp")),
        Create(TASK),
        Create(Node(id="n1", spec=NodeSpec())),
        Create(Secret(id="x", name="tls.key")),
        Update(service(), spec_version=3),
        Remove("kv", "color"),
        Require("node", "n1"),
        Advance("t1", TaskStatus(TaskState.ASSIGNED), node_id="n1"),
        Advance("t1", desired_state=TaskState.REMOVE),
    ],
)
def test_what_may_be_proposed(operation: Operation) -> None:
    assert check(Transaction((operation,))) is None


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (Put("", b""), "a key has at least one character"),
        (Put("k" * 1025, b""), "a key has at most 1024 bytes, not 1025"),
        (Put("\N{SNOWMAN}" * 342, b""), "a key has at most 1024 bytes, not 1026"),
        (Put("k", bytes(1024 * 1024 + 1)), "a value has at most 1048576 bytes, not 1048577"),
        (Put("k", b"", expected=-1), "version -1 of key k cannot be: 0 is `absent`, versions begin at 1"),
        (Put("\udcff", b""), "Transaction cannot be written"),
        (Create(KeyValue("", 0, 0.0, 0.0, b"")), "a key has at least one character"),
        (Create(service("-web")), "a service's name has letters, digits and inner dashes, not '-web'"),
        (Create(service("web.2")), "a service's name has"),
        (Create(service("w" * 64)), "a service's name has at most 63 characters, not 64"),
        (Create(service(mode=ReplicatedMode(-1))), "service web has 0 to 10000 replicas, not -1"),
        (Create(service(labels={str(n): "" for n in range(257)})), "at most 256 labels, not 257"),
        (published(PortConfig(0)), "service web publishes ports 1 to 65535, not 0"),
        (published(PortConfig(1, 65536)), "target ports 1 to 65535 or 0 .auto., not 65536"),
        (published(PortConfig(1, protocol="sctp")), "publishes tcp or udp, not 'sctp'"),
        (published(PortConfig(1), PortConfig(1, 2)), "service web publishes port 1 twice"),
        (
            Create(service(task_template=TaskSpec(restart_policy=RestartPolicy(delay_ns=-1)))),
            "the restart delay of service web cannot be negative: -1",
        ),
        (Create(attrs.evolve(TASK, slot=-1)), "a task's slot is 1 or more"),
        (Create(attrs.evolve(TASK, service_id="")), "belongs to no service"),
        (Create(attrs.evolve(TASK, id="a b")), "an id has 1 to 64 letters and digits, not 'a b'"),
        (Create(Secret(id="x", name="")), "a secret's name has letters"),
        (Create(Config(id="x", name="a/b")), "a config's name has letters"),
        (Create(Node(id="n", spec=NodeSpec("n 1"))), "a node's name has letters"),
        (Update(service()), "must name the version that it replaces"),
        (Remove("network", "x"), "there is no table 'network', only node, service"),
        (Require("network", "x"), "there is no table 'network'"),
        (Advance("t1"), "must name a status or a desired state"),
        (Advance("t1", desired_state=TaskState.RUNNING, node_id="n1"), "is given a node together with a status only"),
        (Advance("t1", TaskStatus(TaskState.REMOVE)), "`remove` is a desired state only"),
    ],
)
def test_what_may_not_be_proposed(operation: Operation, sentence: str) -> None:
    fault = check(Transaction((operation,)))
    assert fault is not None
    assert sentence.replace(".auto.", "(auto)") in fault
    assert "\n" not in fault


def test_a_transaction_has_operations_and_not_too_many() -> None:
    assert check(Transaction(())) == "a transaction has 1 to 200 operations, not 0"
    assert check(Transaction((Put("k", b""),) * 201)) == "a transaction has 1 to 200 operations, not 201"


def test_a_transaction_is_not_too_large() -> None:
    large = Transaction((Put("a", bytes(1024 * 1024)), Put("b", bytes(1024 * 1024))))
    fault = check(large)
    assert fault is not None
    assert "a transaction has at most 1572864 bytes, not 2097" in fault
    assert check(large, encoded_bytes=10) is None
