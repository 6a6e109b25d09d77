"""One line for every transaction: what people read in `raft log` and in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects import codec
from swarmtui.objects.operations import Advance, Create, Operation, Put, Remove, Require, Transaction, Update
from swarmtui.objects.records import Node, NodeStatus, Service, Task, TaskStatus
from swarmtui.objects.specs import GlobalMode, NodeSpec, ReplicatedMode, ServiceSpec
from swarmtui.objects.states import Availability, NodeState, TaskState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store.describe import describe, describe_encoded, describe_entry

if TYPE_CHECKING:
    from .conftest import Log

WEB = Service(id="s1", spec=ServiceSpec("web", mode=ReplicatedMode(5)))
AGENT = Service(id="s2", spec=ServiceSpec("agent", mode=GlobalMode()))
TASK = Task(id="t1", service_id="s1", service_name="web", slot=2)
N3 = Node(id="abcdefghijklmnop", spec=NodeSpec("n3"))


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (Put("color", b"green"), "put color = green"),
        (Put("color", b""), 'put color = ""'),
        (Put("color", b"\xff\x00"), "put color = 2 bytes"),
        (Put("color", b"a\nb"), "put color = 3 bytes"),
        (Put("color", b"x" * 300), f"put color = {'x' * 39}… (300 bytes)"),
        (Put("color", b"green", expected=7), "cas color 7 = green"),
        (Create(WEB), "create service web replicas 5"),
        (Create(AGENT), "create service agent global"),
        (Create(TASK), "create task web.2"),
        (Create(Task(id="t", service_id="s2", service_name="agent", node_id=N3.id)), "create task agent.n3 on n3"),
        (Update(WEB, version=1), "service web replicas 5"),
        (Update(N3, version=1), "node n3 unknown"),
        (Update(Node(id="n", spec=NodeSpec("n3", availability=Availability.DRAIN)), 1), "node n3 unknown drain"),
        (
            Update(Node(id="n", spec=NodeSpec("n3"), status=NodeStatus(NodeState.DOWN, "connection refused")), 1),
            "node n3 down: connection refused",
        ),
        (Remove("task", "t1"), "remove task web.2"),
        (Remove("kv", "color"), "remove key color"),
        (Remove("service", "gone"), "remove service gone"),
        (Require("node", N3.id, 4), "require node n3"),
        (Advance("t1", TaskStatus(TaskState.ASSIGNED), node_id=N3.id), "task web.2 assigned to n3"),
        (Advance("t1", TaskStatus(TaskState.RUNNING)), "task web.2 running"),
        (Advance("t1", TaskStatus(TaskState.FAILED, error="exit 1")), "task web.2 failed: exit 1"),
        (Advance("t1", desired_state=TaskState.SHUTDOWN), "task web.2 shall be shutdown"),
        (Advance("unknown-to-this-store", TaskStatus(TaskState.RUNNING)), "task unknown-to-t running"),
    ],
)
def test_lines(log: Log, operation: Operation, line: str) -> None:
    log.do(Create(WEB), Create(TASK), Create(N3))
    assert describe(Transaction((operation,)), log.store) == line


def test_guards_are_left_out_where_something_is_written(log: Log) -> None:
    log.do(Create(TASK), Create(N3))
    assigned = Advance("t1", TaskStatus(TaskState.ASSIGNED), node_id=N3.id)
    assert describe(Transaction((Require("node", N3.id, 1), assigned)), log.store) == "task web.2 assigned to n3"


def test_long_transactions_and_entries_are_summed_up() -> None:
    puts = tuple(Put(key, b"1") for key in "abcde")
    assert describe(Transaction(puts)) == "put a = 1, put b = 1, put c = 1, and 2 more"
    entry = encode_transactions([codec.encode(Transaction((put,))) for put in puts], 1.0)
    assert describe_entry(entry) == "put a = 1; put b = 1; put c = 1; and 2 more"
    assert describe(Transaction(())) == "nothing"


@given(st.from_type(Transaction))
def test_any_transaction_has_one_printable_line(transaction: Transaction) -> None:
    line = describe(transaction)
    assert line.isprintable()
    assert 0 < len(line) <= 200


@given(st.binary(max_size=60))
def test_any_bytes_have_a_line(data: bytes) -> None:
    for line in (describe_entry(data), describe_encoded(data), describe_entry(b"\x01" + bytes(8) + data)):
        assert line.isprintable()
        assert 0 < len(line) <= 200
