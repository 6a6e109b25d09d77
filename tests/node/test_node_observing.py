"""What an observer is told: everything that the ring holds, however much, and where that ends."""

from __future__ import annotations

import trio

from swarmtui.node.events import READER_EVENTS_MAX, Events
from swarmtui.node.observing import Observing
from swarmtui.wire.node_calls import Observe

HELD = READER_EVENTS_MAX * 3 // 2


def observing() -> tuple[Observing, Events]:
    events = Events("n1")
    for number in range(HELD):
        events.tell("node", f"event {number}")
    return Observing("n1", events), events


async def test_more_events_than_are_read_at_once_are_told_without_waiting_for_another() -> None:
    node, _ = observing()
    told = []
    with trio.fail_after(10):
        async for event in node.observe(Observe(after_seq=-1, marks=False)):
            told.append(event.seq)
            if len(told) == HELD:
                break
    assert told == list(range(1, HELD + 1))


async def test_who_does_not_follow_is_told_all_that_is_held_and_no_more() -> None:
    node, _ = observing()
    with trio.fail_after(10):
        told = [event.seq async for event in node.observe(Observe(after_seq=-1, marks=False, follow=False))]
    assert told == list(range(1, HELD + 1))
