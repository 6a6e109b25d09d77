"""Calls and streams: one answer each, refusals by name, nothing unbounded, and what is known when a connection breaks."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from swarmtui.objects.events import Event
from swarmtui.objects.records import KeyValue
from swarmtui.wire.calls import ALLOWED, Peerage
from swarmtui.wire.channels import Channel
from swarmtui.wire.host_calls import GetHost
from swarmtui.wire.messages import Cancel, Failed, Reply, Request
from swarmtui.wire.node_calls import (
    Done,
    GetStatus,
    ListRecords,
    LogRange,
    Observe,
    OutputLines,
    Propose,
    Records,
    RecordsChanged,
    StopNode,
    TakeSnapshot,
    TaskOutput,
    WatchRecords,
)
from swarmtui.wire.responder import REQUESTS_MAX, Pending, Responder, answer_calls
from swarmtui.wire.rpc import (
    STREAM_ITEMS_MAX,
    Broken,
    Caller,
    CallRefused,
    CallRejected,
    NotSent,
)
from tests.wire.conftest import N1, N2, W1, identity, memory_pair, receive, tls_pair

ADMIN, MANAGER = identity(Peerage.ADMIN), identity(Peerage.MANAGER, N2)


class Node:
    """Answers calls as a test wants it."""

    def __init__(self) -> None:
        self.calls: list = []
        self.cancelled: list = []
        self.sent = 0
        self.hold = trio.Event()

    def answer(self, call, who):
        self.calls.append((call, who))
        return self.stream(call) if isinstance(call, Observe | WatchRecords | TaskOutput) else self.one(call)

    async def one(self, call):
        if isinstance(call, TakeSnapshot):
            raise CallRejected("disk", "the disk is full")
        if isinstance(call, LogRange):
            raise ZeroDivisionError("a fault of ours")
        if isinstance(call, StopNode):
            try:
                await self.hold.wait()
            except trio.Cancelled:
                self.cancelled.append(call)
                raise
        return Done(type(call).__name__)

    async def stream(self, call):
        try:
            if isinstance(call, TaskOutput):
                yield OutputLines(call.task_id, (), "nothing")
                return
            while True:
                self.sent += 1
                yield Event(1.0, "n2", self.sent, "node", "x")
        finally:
            self.cancelled.append(call)


@asynccontextmanager
async def calling(role=ADMIN, refusals=None, node=None):
    node = node or Node()
    left, right = memory_pair(role, MANAGER)
    async with trio.open_nursery() as nursery, left, right:
        caller = Caller(left)
        nursery.start_soon(caller.run)
        on_refused = None if refusals is None else refusals.append
        nursery.start_soon(lambda: answer_calls(right, node.answer, on_refused=on_refused))
        yield caller, node
        await left.aclose()
        nursery.cancel_scope.cancel()


async def test_a_call_without_time_is_not_sent():
    async with calling() as (caller, node):
        for timeout_s in (0.0, -1.0):
            with pytest.raises(NotSent, match="no answer in 0 s"):
                await caller.call(TaskOutput("t"), timeout_s)
        assert (await caller.call(GetStatus())).text == "GetStatus"
        assert not node.cancelled


async def test_a_call_is_answered_and_knows_who_asked():
    async with calling() as (caller, node):
        assert await caller.call(GetStatus()) == Done("GetStatus")
        assert node.calls == [(GetStatus(), ADMIN)]


async def test_many_calls_are_under_way_at_once():
    async with calling() as (caller, _):
        answers = []

        async def ask() -> None:
            answers.append(await caller.call(GetStatus()))

        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(ask)
        assert answers == [Done("GetStatus")] * 300
        assert caller._waiting == {}


@pytest.mark.parametrize("role", list(Peerage))
async def test_the_table_decides_who_may_ask_what(role):
    refusals: list = []
    who = identity(role, W1 if role is Peerage.WORKER else N1 if role is Peerage.MANAGER else "")
    async with calling(who, refusals) as (caller, node):
        for call in (Propose.of(), TakeSnapshot(), StopNode(), GetHost(), GetStatus()):
            node.hold.set()
            if type(call) in ALLOWED[role] and not isinstance(call, TakeSnapshot):
                assert await caller.call(call) == Done(type(call).__name__)
            elif type(call) not in ALLOWED[role]:
                with pytest.raises(CallRefused, match=f"role {role} may not make the call {type(call).__name__}"):
                    await caller.call(call)
    assert len(refusals) == sum(
        cls not in ALLOWED[role] for cls in (Propose, TakeSnapshot, StopNode, GetHost, GetStatus)
    )
    assert all(refusal.rule == "call" and refusal.peer == who for refusal in refusals)


async def test_a_refusal_arrives_by_name_and_a_fault_costs_one_call():
    async with calling() as (caller, _):
        with pytest.raises(CallRefused, match="the disk is full") as caught:
            await caller.call(TakeSnapshot())
        assert caught.value.rule == "disk"
        with pytest.raises(CallRefused, match="ZeroDivisionError") as caught:
            await caller.call(LogRange(1, 2))
        assert caught.value.rule == "internal"
        assert await caller.call(GetStatus()) == Done("GetStatus")


async def test_a_call_that_takes_too_long_is_given_up_at_both_ends():
    async with calling() as (caller, node):
        with pytest.raises(Broken, match=r"no answer in 0\.05 s"):
            await caller.call(StopNode(), timeout_s=0.05)
        await trio.testing.wait_all_tasks_blocked()
        assert node.cancelled == [StopNode()]
        assert caller._waiting == {}


async def test_when_the_connection_breaks_what_was_sent_is_unknown_and_the_rest_was_not_sent():
    async with calling() as (caller, _):
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(Broken):
                    await caller.call(StopNode())

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await caller.connection.aclose("gone")
        with pytest.raises(NotSent, match="gone"):
            await caller.call(GetStatus())


async def test_a_stream_ends_when_its_answers_do():
    async with calling() as (caller, node), caller.stream(TaskOutput("t")) as lines:
        assert [line async for line in lines] == [OutputLines("t", (), "nothing")]
        assert node.cancelled == [TaskOutput("t")]


async def test_a_slow_reader_holds_up_its_own_stream_only():
    async with calling() as (caller, node), caller.stream(Observe()) as events:
        assert (await anext(events)).seq == 1
        await trio.testing.wait_all_tasks_blocked()
        assert node.sent <= STREAM_ITEMS_MAX + 1  # all that there is room for
        assert await caller.call(GetStatus()) == Done("GetStatus")
        assert [(await anext(events)).seq for _ in range(500)] == list(range(2, 502))


async def test_a_reader_that_leaves_ends_the_stream_at_its_source():
    async with calling() as (caller, node):
        async with caller.stream(Observe()) as events:
            await anext(events)
        with trio.fail_after(5):
            while not node.cancelled:
                await trio.testing.wait_all_tasks_blocked()
        assert node.cancelled == [Observe()]


async def test_a_stream_breaks_with_its_connection_after_what_had_arrived():
    async with calling() as (caller, _), caller.stream(Observe()) as events:
        await anext(events)
        await trio.testing.wait_all_tasks_blocked()
        await caller.connection.aclose("gone")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(STREAM_ITEMS_MAX - 1):
            await anext(events)
        with pytest.raises(Broken):
            await anext(events)


async def test_a_refused_stream_says_why():
    async with calling(identity(Peerage.MANAGER, N1)) as (caller, _), caller.stream(Observe()) as events:
        with pytest.raises(CallRefused, match="may not make the call Observe"):
            await anext(events)


async def test_calls_of_one_connection_are_bounded():
    sent: list = []
    _, right = memory_pair(ADMIN, MANAGER)
    right.send_soon = lambda channel, message: sent.append(message) or True
    node = Node()
    async with trio.open_nursery() as nursery:
        responder = Responder(right, node.answer, nursery)
        for id in range(REQUESTS_MAX + 1):
            assert responder.take(Request(id, StopNode()))
        assert [(message.id, message.rule) for message in sent] == [(REQUESTS_MAX, "overload")]
        assert responder.take(Request(0, StopNode()))
        assert sent[-1].rule == "protocol"
        assert not responder.take(Reply(1, Done()))
        assert responder.take(Cancel(99_999))
        nursery.cancel_scope.cancel()


async def test_an_answer_that_is_there_at_once_leaves_at_once(nursery):
    """Nobody's step ends after it that would flush it: it waited for the next heartbeat, in a cluster of one manager 100 ms."""
    left, right = memory_pair(ADMIN, MANAGER)
    later = Pending()

    def answer(call, who):
        if isinstance(call, TakeSnapshot):
            return later
        at_once = Pending()
        at_once.give(Done("at once"))
        return at_once

    posted = []
    async with left, right:
        caller = Caller(left)
        nursery.start_soon(caller.run)
        nursery.start_soon(lambda: answer_calls(right, answer, posted=posted.append))
        with trio.fail_after(5):
            assert await caller.call(GetStatus()) == Done("at once")
        told = []
        caller.ask(TakeSnapshot(), told.append)
        await trio.testing.wait_all_tasks_blocked()
        posted.clear()
        later.give(Done("later"))
        await trio.testing.wait_all_tasks_blocked()
        assert (posted, told) == ([right], []), "what comes later leaves with the others of its step"
        nursery.cancel_scope.cancel()


async def test_answers_that_nobody_waits_for_are_ignored():
    left, _ = memory_pair(ADMIN, MANAGER)
    caller = Caller(left)
    assert caller.take(Reply(7, Done()))
    assert caller.take(Failed(7, "x", "y"))
    assert not caller.take(Request(7, GetStatus()))


async def test_an_answer_that_no_frame_holds_is_a_refusal():
    class Verbose(Node):
        async def one(self, call):
            return Done("x" * (9 << 20))

    async with calling(node=Verbose()) as (caller, _):
        with pytest.raises(CallRefused, match="at most"):
            await caller.call(GetStatus())


async def test_output_travels_on_its_own_channel_over_tls(certified):
    admin, n2 = certified.credentials(Peerage.ADMIN), certified.credentials(Peerage.MANAGER, N2)
    node = Node()
    async with tls_pair(admin, n2) as (left, right), trio.open_nursery() as nursery:
        nursery.start_soon(answer_calls, right, node.answer)
        await left.send(Channel.CLIENT, Request(1, TaskOutput("t")))
        assert (await receive(left))[0][0] is Channel.OUTPUT
        nursery.cancel_scope.cancel()


def keys(count: int, size: int) -> tuple[KeyValue, ...]:
    return tuple(KeyValue(f"key {number}", 0, 0.0, 0.0, bytes(size)) for number in range(count))


@pytest.mark.parametrize(("count", "size"), [(5_000, 10), (20, 1 << 20), (1, 10)])
async def test_a_long_list_travels_in_parts_and_arrives_whole(count, size):
    answer = Records(7, 3, True, keys(count, size))

    class Full(Node):
        async def one(self, call):
            return answer if isinstance(call, ListRecords) else Done()

    async with calling(node=Full()) as (caller, _):
        assert await caller.call(ListRecords(("kv",)), 30.0) == answer
        assert await caller.call(GetStatus()) == Done()


async def test_a_long_change_is_several_changes_of_which_the_first_resets():
    everything = keys(30, 1 << 20)

    class Changing(Node):
        async def stream(self, call):
            yield RecordsChanged(9, True, everything, (("kv", "gone"),))

    async with calling(node=Changing()) as (caller, _), caller.stream(WatchRecords(("kv",))) as changes:
        parts = [part async for part in changes]
    assert [part.reset for part in parts] == [True, *[False] * (len(parts) - 1)]
    assert [part.more for part in parts] == [*[True] * (len(parts) - 1), False]
    assert len(parts) > 1
    assert tuple(record for part in parts for record in part.records) == everything
    assert [part.removed for part in parts if part.removed] == [(("kv", "gone"),)]
