"""One connection: order, priorities, bounds, farewells, and refusal of what its other end must not say."""

import pytest
import trio
import trio.testing

from swarmtui.objects.dispatch import Beat, Register, Relay
from swarmtui.objects.records import NodeDescription
from swarmtui.raft.messages import ReadRequest, SnapshotChunk, TimeoutNow
from swarmtui.wire.calls import Peerage
from swarmtui.wire.channels import QUEUES, Channel, may_speak
from swarmtui.wire.connection import Connection, ConnectionEnded
from swarmtui.wire.frames import encode_frame
from swarmtui.wire.messages import Hello, Request
from swarmtui.wire.node_calls import GetStatus
from tests.wire.conftest import N1, N2, W1, identity, memory_pair, receive, receive_all, tls_pair

MANAGER_1, MANAGER_2 = identity(Peerage.MANAGER, N1), identity(Peerage.MANAGER, N2)


def read_request(ticket: int, source: str = N1) -> ReadRequest:
    return ReadRequest(cluster="c", source=source, target=N2, term=1, ticket=ticket)


async def send_raw(connection: Connection, data: bytes) -> None:
    """Past everything that a connection would check."""
    if not connection._stream.write(data):
        await connection._stream.drain()


async def receive_many(connection: Connection, count: int) -> list:
    received = []
    with trio.fail_after(10):
        while len(received) < count:
            received += await receive(connection)
    return received


async def test_messages_arrive_in_order_and_many_share_one_send():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    async with left, right:
        sent = [read_request(ticket) for ticket in range(500)]
        for message in sent:
            assert left.send_soon(Channel.RAFT, message)
        received = await receive_many(right, 500)
        assert received == [(Channel.RAFT, message) for message in sent]
        assert left.statistics().frames_sent == 500
        assert left.statistics().sends <= 5
        assert left.statistics().frames_waiting == left.statistics().bytes_waiting == 0


async def test_what_is_urgent_overtakes_what_waits():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    async with right:
        for number in range(3):
            left.send_soon(Channel.AGENT, Beat(f"session {number}"))
        left.send_soon(Channel.FORWARD, Request(1, GetStatus()))
        left.send_soon(Channel.RAFT, read_request(1))
        async with left:
            received = await receive_many(right, 5)
    assert [channel for channel, _ in received] == [Channel.RAFT, Channel.FORWARD, *[Channel.AGENT] * 3]


async def test_a_full_queue_refuses_and_never_waits():
    left, _ = memory_pair(MANAGER_1, MANAGER_2)  # not entered: nobody writes
    accepted = sum(left.send_soon(Channel.RAFT, read_request(ticket)) for ticket in range(10_000))
    assert accepted == QUEUES[Channel.RAFT].frames_max
    assert left.statistics().frames_refused == 10_000 - accepted
    assert left.send_soon(Channel.AGENT, Beat("another queue"))


async def test_a_queue_is_bounded_by_bytes_but_takes_one_long_frame():
    from swarmtui.raft.configuration import Configuration, Member
    from swarmtui.raft.messages import SnapshotMark

    left, _ = memory_pair(MANAGER_1, MANAGER_2)
    mark = SnapshotMark(1, 1, Configuration((Member("a", "n1", "x"),)), 1, "")
    chunk = SnapshotChunk(
        cluster="c", source=N1, target=N2, term=1, session=1, mark=mark, offset=0, data=bytes(7 << 20), chunk_checksum=0
    )
    accepted = sum(left.send_soon(Channel.RAFT, chunk) for _ in range(50))
    assert 1 <= accepted <= 5
    assert left.statistics().bytes_waiting <= QUEUES[Channel.RAFT].bytes_max


async def test_send_waits_for_room_and_ends_with_the_connection(autojump_clock):
    left, _ = memory_pair(MANAGER_1, MANAGER_2)
    while left.send_soon(Channel.RAFT, read_request(1)):
        pass
    with trio.move_on_after(1) as waiting:
        await left.send(Channel.RAFT, read_request(2))
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ConnectionEnded):
                await left.send(Channel.RAFT, read_request(3))

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        left._end("over")


async def test_the_reason_of_a_farewell_arrives_after_what_was_sent_before():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    async with left, right:
        left.send_soon(Channel.AGENT, Beat("last words"))
        await left.aclose("shutting down")
        assert await receive_many(right, 1) == [(Channel.AGENT, Beat("last words"))]
        assert await receive_all(right) == []
        assert right.ended == "shutting down"
        assert not right.send_soon(Channel.RAFT, read_request(1, N2))
        with pytest.raises(ConnectionEnded, match="shutting down"):
            await right.send(Channel.RAFT, read_request(1, N2))


async def test_an_exception_of_the_body_passes_through_as_it_is():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    async with right:
        with pytest.raises(KeyError, match="mine"):
            async with left:
                raise KeyError("mine")
        assert left.ended is not None


async def test_a_bad_frame_ends_the_connection_with_a_reason_on_both_sides():
    refusals = []
    left, right = memory_pair(MANAGER_1, MANAGER_2, on_refused=refusals.append)
    async with left, right:
        left.send_soon(Channel.AGENT, Beat("good"))
        await trio.testing.wait_all_tasks_blocked()
        await send_raw(left, b"\xff" * 100)
        async with trio.open_nursery() as nursery:
            received = []

            async def read() -> None:
                received.extend(await receive_all(right))

            nursery.start_soon(read)
            assert await receive_all(left) == []
        assert received == [(Channel.AGENT, Beat("good"))]
        assert "frame format 255" in left.ended
        assert "frame format 255" in right.ended
        assert [refusal.rule for refusal in refusals] == ["bad-frame"]


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        (encode_frame(1, b"rubbish"), "bad-message"),
        (encode_frame(77, b""), "bad-frame"),
        (encode_frame(Channel.OUTPUT, b""), "channel"),
    ],
)
async def test_input_that_must_not_be_ends_that_connection_only(frame, rule):
    refusals = []
    left, right = memory_pair(MANAGER_1, MANAGER_2, on_refused=refusals.append)
    async with right:
        await send_raw(left, frame)
        assert await receive_all(right) == []
        assert [refusal.rule for refusal in refusals] == [rule]
        assert refusals[0].peer == MANAGER_1


async def test_a_message_on_a_channel_that_is_not_for_it_is_refused():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    async with left, right:
        left.send_soon(Channel.AGENT, read_request(1))
        assert await receive_all(right) == []
        assert right.ended == "ReadRequest on the agent channel"


async def test_who_speaks_as_somebody_else_is_not_heard_and_is_told_of():
    refusals = []
    left, right = memory_pair(MANAGER_1, MANAGER_2, on_refused=refusals.append)
    async with left, right:
        left.send_soon(Channel.RAFT, TimeoutNow(cluster="c", source="n3", target=N2, term=9))
        left.send_soon(Channel.RAFT, read_request(5))
        assert await receive_many(right, 1) == [(Channel.RAFT, read_request(5))]
    assert [refusal.rule for refusal in refusals] == ["forged-sender"]
    assert "n3" in refusals[0].reason


async def test_a_worker_registers_itself_only_and_relays_nothing():
    refusals = []
    left, right = memory_pair(identity(Peerage.WORKER, W1), MANAGER_2, on_refused=refusals.append)
    async with left, right:
        left.send_soon(Channel.AGENT, Register(N1, "s", NodeDescription(), ""))
        left.send_soon(Channel.AGENT, Relay(N1, Beat("s")))
        left.send_soon(Channel.AGENT, Register(W1, "s", NodeDescription(), ""))
        assert await receive_many(right, 1) == [(Channel.AGENT, Register(W1, "s", NodeDescription(), ""))]
        left.send_soon(Channel.RAFT, TimeoutNow(cluster="c", source=W1, target=N2, term=9))
        assert await receive_all(right) == []
    assert [refusal.rule for refusal in refusals] == ["forged-sender", "forged-sender", "channel"]


def test_only_managers_speak_on_raft_and_only_answers_on_output():
    for speaker in Peerage:
        for listener in Peerage:
            channels = may_speak(speaker, listener)
            managers = speaker is listener is Peerage.MANAGER
            assert (Channel.RAFT in channels and listener is Peerage.MANAGER) <= managers
            assert (Channel.OUTPUT in channels) <= (speaker not in (Peerage.ADMIN, Peerage.OBSERVER))


async def test_two_nodes_speak_over_tls(certified):
    n1, n2 = certified.credentials(Peerage.MANAGER, N1), certified.credentials(Peerage.MANAGER, N2)
    async with tls_pair(n1, n2) as (left, right):
        assert (left.identity.node_id, right.identity.node_id) == (N2, N1)
        assert left.send_soon(Channel.RAFT, read_request(1))
        assert right.send_soon(Channel.RAFT, read_request(2, N2))
        assert await receive_many(right, 1) == [(Channel.RAFT, read_request(1))]
        assert await receive_many(left, 1) == [(Channel.RAFT, read_request(2, N2))]
        await left.aclose("bye")
        assert await receive_all(right) == []
        assert right.ended == "bye"


async def test_a_torn_connection_is_an_end_and_no_exception(certified):
    n1, n2 = certified.credentials(Peerage.MANAGER, N1), certified.credentials(Peerage.MANAGER, N2)
    async with tls_pair(n1, n2) as (left, right):
        left._stream.close()
        with trio.fail_after(5):
            assert await receive_all(right) == []
        assert right.ended == "the other side hung up"


async def test_what_must_not_be_said_is_answered_also_in_one_piece_with_the_hello():
    """On a busy machine the other side reads both at once, before anybody has entered the connection."""
    left, right = memory_pair(identity(Peerage.WORKER, W1), MANAGER_2)

    async def greet() -> None:
        with pytest.raises(ConnectionEnded, match="raft"):
            await right.greet()
        await right.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(greet)
        await send_raw(left, left._frame(Channel.CONTROL, Hello()) + left._frame(Channel.RAFT, Beat("x")))
        async with left:
            with trio.fail_after(10):
                while await receive(left):
                    continue
        assert "raft" in left.ended


async def test_whoever_hears_is_told_all_that_came_before_what_must_not_be_said(certified):
    n1, n2 = certified.credentials(Peerage.MANAGER, N1), certified.credentials(Peerage.MANAGER, N2)
    async with tls_pair(n1, n2) as (left, right):
        frames = [right._frame(Channel.RAFT, read_request(ticket, N2)) for ticket in (1, 2)]
        await send_raw(right, b"".join(frames) + encode_frame(99, b"?") + frames[0])
        with trio.fail_after(10):
            assert [message.ticket for _, message in await receive_all(left)] == [1, 2]
        assert "channel 99" in left.ended


async def test_hearing_ends_when_the_connection_is_closed_here(certified):
    n1, n2 = certified.credentials(Peerage.MANAGER, N1), certified.credentials(Peerage.MANAGER, N2)
    async with tls_pair(n1, n2) as (left, _):
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive_all, left)
                await trio.testing.wait_all_tasks_blocked()
                await left.aclose("enough")
        assert left.ended == "enough"


async def test_what_the_hearer_raises_comes_out_where_it_hears(certified):
    n1, n2 = certified.credentials(Peerage.MANAGER, N1), certified.credentials(Peerage.MANAGER, N2)

    def fails(_: object) -> None:
        raise KeyError("mine")

    async with tls_pair(n1, n2) as (left, right):
        assert right.send_soon(Channel.RAFT, read_request(1, N2))
        with pytest.raises(KeyError, match="mine"), trio.fail_after(10):
            await left.hear(fails)
