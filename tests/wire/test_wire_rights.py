"""A task's certificate reaches kv alone, whatever is asked with it."""

from __future__ import annotations

import pytest
import trio

from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Advance, Create, Put, Remove, Require, Transaction, Update
from swarmtui.objects.records import Lease, Node, Secret
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.transactions import Bundle
from swarmtui.wire.admission import Refusal
from swarmtui.wire.calls import ALLOWED, Call, Peerage
from swarmtui.wire.certificates import Identity
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.key_calls import Attest, GetKeys
from swarmtui.wire.node_calls import (
    Done,
    GetKey,
    GetStatus,
    LinkFault,
    ListRecords,
    Propose,
    StopNode,
    WatchRecords,
)
from swarmtui.wire.responder import answer_calls
from swarmtui.wire.rights import objection
from swarmtui.wire.rpc import Caller, CallRefused
from tests.wire.conftest import CLUSTER, N1, N2, identity, memory_pair


def write(*operations: object) -> Propose:
    """As it is read from the wire."""
    transactions = Transaction((Put("a", b""),), 7, 1, 1, 1), Transaction(tuple(operations))  # type: ignore[arg-type]
    return Propose.of(*transactions)


@pytest.mark.parametrize(
    "call",
    [
        GetStatus(),
        GetKey("a"),
        GetKeys(("a",), asked=("n1", "n2")),
        Attest(("n1", "n2")),
        ListRecords(("kv",), prefix="a"),
        WatchRecords(("kv",)),
        write(Put("a", b"", 0, "lease")),
        write(Create(Lease(id="l")), Put("a", b"", lease="l")),
        write(Update(Lease(id="l"), version=1)),
        write(Remove("lease", "l"), Remove("kv", "a"), Require("kv", "b")),
    ],
)
def test_what_a_task_may(call: object) -> None:
    assert type(call) in ALLOWED[Peerage.TASK]
    assert objection(Peerage.TASK, call) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (ListRecords(("kv", "secret")), "may read kv alone, not secret"),
        (WatchRecords(("service", "task")), "may read kv alone, not service, task"),
        (write(Put("a", b""), Remove("node", "n1")), "may write kv alone, not node"),
        (write(Create(Secret(id="s", name="s"))), "not secret"),
        (write(Update(Node(id="n", spec=NodeSpec("n")), version=1)), "not node"),
        (write(Require("service", "web")), "not service"),
        (write(Advance("t1")), "not task"),
        (Propose(Bundle.of([encode(Transaction((Put("a", b""),)))]), forwarded=True), "only managers forward"),
        (Propose(Bundle.of([b"\xc0"])), "not a Transaction"),
        (Propose(Bundle.of([b"\xc1"])), "cannot be told apart"),
    ],
)
def test_what_a_task_may_not(call: object, reason: str) -> None:
    assert reason in objection(Peerage.TASK, call)  # type: ignore[arg-type]
    assert objection(Peerage.ADMIN, call) == ""  # type: ignore[arg-type]


def test_every_role_has_a_row_and_a_task_no_more_than_it_needs() -> None:
    assert set(ALLOWED) == set(Peerage)
    assert set(ALLOWED[Peerage.TASK]) == {GetStatus, GetKey, GetKeys, Attest, ListRecords, WatchRecords, Propose}


def test_a_word_for_a_read_is_given_to_whoever_may_read() -> None:
    assert [role for role in Peerage if Attest in ALLOWED[role]] == [
        role for role in Peerage if GetKeys in ALLOWED[role]
    ]


@pytest.mark.parametrize("call", [StopNode(), ListRecords(("secret",)), write(Remove("node", "n1"))])
async def test_what_a_task_may_not_is_refused_before_it_is_answered_and_told(call: Call, nursery: trio.Nursery) -> None:
    task = Identity(CLUSTER, Peerage.TASK, N1, "n1")
    left, right = memory_pair(task, identity(Peerage.MANAGER, N2))
    asked: list[Call] = []
    refusals: list[Refusal] = []

    async def answer(call: Call, who: Identity) -> Done:
        asked.append(call)
        return Done()

    async with left, right:
        caller = Caller(left)
        nursery.start_soon(lambda: answer_calls(right, answer, on_refused=refusals.append))
        nursery.start_soon(caller.run)
        with pytest.raises(CallRefused) as caught:
            await caller.call(call)
        assert isinstance(await caller.call(GetKey("a")), Done)
        nursery.cancel_scope.cancel()
    assert caught.value.rule == "forbidden"
    assert asked == [GetKey("a")]
    assert [str(refusal).startswith("a task on n1 at ") for refusal in refusals] == [True]


def test_a_tasks_links_break_with_those_of_its_node() -> None:
    faults = LinkFaults()
    faults.set((LinkFault(N1, cut_in=True),))
    assert faults.of(Identity(CLUSTER, Peerage.TASK, N1)) is not None
    assert faults.of(Identity(CLUSTER, Peerage.TASK, N2)) is None
    assert faults.of(Identity(CLUSTER, Peerage.ADMIN, N1)) is None
