"""Broken links: silence and never an end, delay that keeps the order, loss; all of it for nodes only."""

import time

import pytest
import trio
import trio.testing

from swarmtui.objects.dispatch import Beat
from swarmtui.raft.messages import ReadReply
from swarmtui.raft.reasons import Why
from swarmtui.wire.calls import Peerage
from swarmtui.wire.channels import Channel
from swarmtui.wire.connection import TORN
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.messages import Request
from swarmtui.wire.node_calls import GetStatus, LinkFault
from swarmtui.wire.outgoing import RETRANSMIT_S
from tests.wire.conftest import N1, N2, identity, memory_pair, receive, receive_all, set_faults, tls_pair

MANAGER_1, MANAGER_2 = identity(Peerage.MANAGER, N1), identity(Peerage.MANAGER, N2)


def word(source: str, target: str, text: str) -> ReadReply:
    """A message that may get lost: only Raft's may."""
    return ReadReply(
        cluster="c", source=source, target=target, term=1, ticket=1, index=1, why=Why("peer-says", said=text)
    )


def words(messages) -> list[str]:
    return [message.why.operands["said"] for _, message in messages]


def beats(messages) -> list[str]:
    return [message.session for _, message in messages]


async def test_a_cut_is_silence_in_that_direction_only():
    faults = LinkFaults()
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    set_faults(left, faults)
    async with left, right:
        faults.set([LinkFault(N2, cut_out=True)])
        assert left.send_soon(Channel.RAFT, word(N1, N2, "lost"))
        right.send_soon(Channel.RAFT, word(N2, N1, "back"))
        assert words(await receive(left)) == ["back"]
        heard_at = left.heard_at
        faults.set([LinkFault(N2, cut_in=True)])
        right.send_soon(Channel.RAFT, word(N2, N1, "unheard"))
        left.send_soon(Channel.RAFT, word(N1, N2, "heard"))
        assert words(await receive(right)) == ["heard"]
        with trio.move_on_after(0.05) as waiting:
            await receive(left)
        assert waiting.cancelled_caught
        assert left.heard_at == heard_at
        faults.set([])
        right.send_soon(Channel.RAFT, word(N2, N1, "again"))
        assert words(await receive(left)) == ["again"]
        assert left.heard_at > heard_at
        assert left.statistics().frames_lost == 2


async def test_what_waits_when_the_link_is_cut_is_lost_too():
    faults = LinkFaults()
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    set_faults(left, faults)
    left.send_soon(Channel.RAFT, word(N1, N2, "before"))
    faults.set([LinkFault(N2, cut_out=True)])
    async with left, right:
        await trio.testing.wait_all_tasks_blocked()
        faults.set([])
        left.send_soon(Channel.RAFT, word(N1, N2, "after"))
        assert words(await receive(right)) == ["after"]


async def test_the_death_of_a_peer_is_not_noticed_through_a_cut(certified):
    n1, n2 = certified.credentials(Peerage.MANAGER, N1), certified.credentials(Peerage.MANAGER, N2)
    faults = LinkFaults()
    async with tls_pair(n1, n2) as (left, right):
        set_faults(left, faults)
        faults.set([LinkFault(N2, cut_in=True)])
        right._stream.close()
        with trio.move_on_after(0.1) as waiting:
            await receive(left)
        assert waiting.cancelled_caught
        for _ in range(3):
            assert left.send_soon(Channel.AGENT, Beat("into the dark"))
            await trio.testing.wait_all_tasks_blocked(0.02)
        assert left.ended is None
        faults.set([])
        with trio.fail_after(5):
            assert await receive_all(left) == []
        assert left.ended is not None


async def test_a_farewell_does_not_pass_a_cut():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    set_faults(left, LinkFaults([LinkFault(N2, cut_out=True, cut_in=True)]))
    set_faults(right, LinkFaults([LinkFault(N1, cut_out=True, cut_in=True)]))
    async with right:
        async with left:
            await left.aclose("secret")
        with trio.move_on_after(0.05) as waiting:
            await receive(right)
        assert waiting.cancelled_caught
        assert right.ended is None


async def test_a_time_limit_is_enforced_here():
    clock = [100.0]
    faults = LinkFaults([LinkFault(N2, cut_out=True, until=110.0)], wall=lambda: clock[0])
    assert not faults.reaches(N2)
    assert faults.hears(N2)
    assert len(faults.current()) == 1
    clock[0] = 110.0
    assert faults.reaches(N2)
    assert faults.current() == ()


async def test_who_waits_for_a_link_wakes_at_its_time_limit_and_when_it_is_healed():
    faults = LinkFaults([LinkFault(N2, cut_in=True, until=time.time() + 0.05)])
    with trio.fail_after(5):
        await faults.wait_hears(N2)
    faults.set([LinkFault(N2, cut_in=True)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(faults.wait_reaches, N2)
        await trio.testing.wait_all_tasks_blocked()
        faults.set([])


async def test_delay_keeps_the_order_and_lets_other_links_alone(autojump_clock):
    draws = iter([1.0, 0.0, 0.5, 0.9])
    faults = LinkFaults([LinkFault(N2, delay_ms=200, jitter_ms=100)], draw=lambda: next(draws))
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    set_faults(left, faults)
    async with left, right:
        started = trio.current_time()
        for number in range(3):
            left.send_soon(Channel.AGENT, Beat(str(number)))
        faults.set([])
        left.send_soon(Channel.AGENT, Beat("3"))
        received: list[str] = []
        while len(received) < 4:
            received += beats(await receive(right))
        assert received == ["0", "1", "2", "3"]
        assert trio.current_time() - started == pytest.approx(0.3)


async def test_loss_is_of_outgoing_frames():
    draws = iter([0.1, 0.9, 0.05, 0.5, 0.0])
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    set_faults(left, LinkFaults([LinkFault(N2, loss=0.2)], draw=lambda: next(draws)))
    async with left, right:
        for number in range(4):
            assert left.send_soon(Channel.RAFT, word(N1, N2, str(number)))
        received: list[str] = []
        while len(received) < 2:
            received += words(await receive(right))
        assert received == ["1", "3"]


@pytest.mark.parametrize("role", [Peerage.ADMIN, Peerage.OBSERVER, Peerage.HOST])
async def test_those_who_heal_are_never_cut_off(role):
    everywhere = LinkFaults([LinkFault(str(role), cut_in=True, cut_out=True), LinkFault(N1, cut_in=True, cut_out=True)])
    left, right = memory_pair(identity(role), MANAGER_1, faults=everywhere)
    async with left, right:
        left.send_soon(Channel.CLIENT, Request(1, GetStatus()))
        with trio.fail_after(5):
            assert await receive(right) == [(Channel.CLIENT, Request(1, GetStatus()))]


def test_numbers_that_cannot_be_are_refused():
    for bad in (LinkFault(N1, loss=1.5), LinkFault(N1, delay_ms=-1), LinkFault(N1, jitter_ms=float("nan"))):
        with pytest.raises(ValueError, match=r"loss|delay"):
            LinkFaults([bad])


async def test_a_channel_that_promises_everything_ends_when_a_cut_swallowed_something():
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    faults = set_faults(left, LinkFaults([LinkFault(N2, cut_out=True)]))
    async with left, right:
        assert left.send_soon(Channel.AGENT, Beat("swallowed"))
        await trio.testing.wait_all_tasks_blocked()
        assert left.ended is None
        faults.set([])
        left.send_soon(Channel.RAFT, word(N1, N2, "the link carries again"))
        assert words(await receive(right)) == ["the link carries again"]
        assert await receive(right) == []
        assert right.ended == TORN


async def test_loss_delays_what_must_not_be_lost(autojump_clock):
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    set_faults(left, LinkFaults([LinkFault(N2, loss=1.0)]))
    async with left, right:
        left.send_soon(Channel.AGENT, Beat("late"))
        assert beats(await receive(right)) == ["late"]
        assert trio.current_time() >= RETRANSMIT_S


async def test_an_end_for_want_of_frames_comes_about_though_the_other_side_is_still_deaf():
    """The two ends of a link are healed one after the other: the goodbye of the first is swallowed by the second, and the
    connection must not live on as one that nobody writes to (found by the nemesis)."""
    left, right = memory_pair(MANAGER_1, MANAGER_2)
    ours = set_faults(left, LinkFaults([LinkFault(N2, cut_out=True)]))
    theirs = set_faults(right, LinkFaults([LinkFault(N1, cut_in=True)]))
    async with left, right, trio.open_nursery() as nursery:
        left.send_soon(Channel.AGENT, Beat("swallowed"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(receive, left)
        nursery.start_soon(receive, right)
        ours.set([])
        left.send_soon(Channel.RAFT, word(N1, N2, "unheard"))
        await trio.testing.wait_all_tasks_blocked()
        assert left.ended == TORN
        assert right.ended is None, "a cut is silence, and never an end"
        theirs.set([])
        with trio.fail_after(5):
            assert await receive(right) == []
        assert right.ended is not None
