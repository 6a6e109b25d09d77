"""Events of all nodes and of the host as one stream, which no node's death ends.

Held events are merged by time. Live ones come as they arrive, each source by itself; when a source is lost it is asked
again for what came after the last event that was seen of it, so nothing is told twice and a hole is announced.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import trio

from swarmtui.client.errors import ClientError
from swarmtui.objects.events import Event
from swarmtui.wire.node_calls import Observe
from swarmtui.wire.rpc import CallFailed

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

HOST = ""  # the host among the sources
RETRY_S = 0.25
HELD_QUIET_S = 1.0  # a source that said nothing for so long will not tell what it holds
BUFFER_EVENTS = 1_000
LATE_S = 0.25  # after the moment at which the stream ends, for what happened before it to arrive
SOURCES_LOOK_S = 0.5  # how often nodes that came or went are looked for


async def merged_events(
    cluster: Cluster, since: float | None, until: float | None, follow: bool
) -> AsyncIterator[Event]:
    """See `Cluster.events`."""
    began = time.time()
    end = math.inf if until is None else until
    if since is None and follow:
        since = began
    held = [event for event in await _held(cluster) if since is None or event.time >= since]
    for event in sorted(held, key=lambda event: (event.time, event.node, event.seq)):
        if event.time <= end:
            yield event
    if not follow or end <= began:
        return
    last: dict[str, Event | None] = {}
    for event in held:  # in order of its source
        last[_source_of(cluster, event)] = event
    send, receive = trio.open_memory_channel[Event](BUFFER_EVENTS)
    scope = trio.CancelScope()
    cluster.nursery.start_soon(_follow_all, cluster, last, since or began, send, scope)
    last_call = max(end, time.time()) + LATE_S  # what is held may have been long in coming
    try:
        while (news := await _next_before(receive, last_call)) is not None:
            if news.time <= end:
                yield news
    finally:
        scope.cancel()


async def _next_before(receive: trio.MemoryReceiveChannel[Event], end: float) -> Event | None:
    """None once it is `end`, in seconds since the epoch."""
    with trio.move_on_after(max(0.0, end - time.time())):
        return await receive.receive()
    return None


async def _follow_all(
    cluster: Cluster,
    last: dict[str, Event | None],
    since: float,
    send: trio.MemorySendChannel[Event],
    scope: trio.CancelScope,
) -> None:
    """Until `scope` is cancelled: every source there is, also those that come later."""
    followed: dict[str, trio.CancelScope] = {}
    with scope:
        async with trio.open_nursery() as nursery:
            while True:
                sources = _sources(cluster)
                for source in [source for source in followed if source not in sources]:
                    followed.pop(source).cancel()
                for source in sources:
                    if source not in followed:
                        followed[source] = trio.CancelScope()
                        nursery.start_soon(
                            _follow, cluster, source, last.pop(source, None), since, send, followed[source]
                        )
                await trio.sleep(SOURCES_LOOK_S)


def _sources(cluster: Cluster) -> list[str]:
    return [HOST, *(node.name for node in cluster.manifest.nodes)]


def _source_of(cluster: Cluster, event: Event) -> str:
    return event.node if cluster.manifest.node(event.node) is not None else HOST


async def _held(cluster: Cluster) -> list[Event]:
    held: list[Event] = []

    async def one(source: str) -> None:
        try:
            with trio.CancelScope(deadline=trio.current_time() + HELD_QUIET_S) as quiet:
                async for answer in _observe(cluster, source, -1, follow=False):
                    quiet.deadline = trio.current_time() + HELD_QUIET_S
                    if isinstance(answer, Event):
                        held.append(answer)
        except (ClientError, CallFailed):
            return  # it does not answer: what it held cannot be shown

    async with trio.open_nursery() as nursery:
        for source in _sources(cluster):
            nursery.start_soon(one, source)
    return held


def _observe(cluster: Cluster, source: str, after_seq: int, *, follow: bool = True) -> AsyncIterator[object]:
    call = Observe(after_seq, marks=False, follow=follow)
    return cluster.host.observe(call) if source == HOST else cluster.stream(source, call)


async def _follow(
    cluster: Cluster,
    source: str,
    last: Event | None,
    since: float,
    send: trio.MemorySendChannel[Event],
    scope: trio.CancelScope,
) -> None:
    """Until `scope` is cancelled. A source that was lost may be another process when it answers again, which counts from 1:
    it is asked for all that it holds, and what was told before is passed over by its time."""
    ask_after = last.seq if last is not None else -1
    with scope:
        while True:
            passing_over = True
            try:
                async for answer in _observe(cluster, source, ask_after):
                    if not isinstance(answer, Event):
                        continue
                    if passing_over and not _is_news(answer, last, since):
                        continue
                    passing_over, last = False, answer
                    await send.send(answer)
            except (ClientError, CallFailed):
                ask_after = -1
            await trio.sleep(RETRY_S)


def _is_news(event: Event, last: Event | None, since: float) -> bool:
    if last is None:
        return event.time >= since
    return (event.time, event.seq) > (last.time, last.seq)
