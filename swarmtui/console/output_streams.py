"""The output of tasks, followed: one stream for each task that is listened to, begun again when it breaks."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from swarmtui.client import Cluster
from swarmtui.client.errors import ClientError
from swarmtui.console.backend import Sink
from swarmtui.console.model.observations import OutputSeen
from swarmtui.wire.node_calls import OutputLines, TaskOutput
from swarmtui.wire.rpc import CallFailed

OUTPUT_TAIL = 200  # lines of each task
RETRY_S = 1.0


class OutputStreams:
    """`follow` says of which tasks, as (node name, task id); those that were followed before go on undisturbed."""

    def __init__(self, cluster: Cluster, sink: Sink, nursery: trio.Nursery) -> None:
        self._cluster = cluster
        self._sink = sink
        self._streams: dict[tuple[str, str], trio.CancelScope] = {}
        self._wished: tuple[tuple[str, str], ...] = ()
        self._changed = trio.Event()
        nursery.start_soon(self._run)

    def follow(self, tasks: Sequence[tuple[str, str]], *, anew: bool) -> None:
        """Follow these and no others; `anew`: also those that are followed already begin again."""
        if anew:
            self._stop(set(self._streams))
        self._wished = tuple(tasks)
        self._changed.set()

    def _stop(self, tasks: set[tuple[str, str]]) -> None:
        for task in tasks:
            self._streams.pop(task).cancel()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                self._stop(set(self._streams) - set(self._wished))
                for task in self._wished:
                    if task not in self._streams:
                        scope = self._streams[task] = trio.CancelScope()
                        nursery.start_soon(self._follow, *task, scope)
                await self._changed.wait()
                self._changed = trio.Event()

    async def _follow(self, node: str, task_id: str, scope: trio.CancelScope) -> None:
        seen = 0.0  # the time of the last line: what is told again after a break is not shown again
        with scope:
            while True:
                try:
                    async for lines in self._cluster.stream(node, TaskOutput(task_id, follow=True, tail=OUTPUT_TAIL)):
                        if isinstance(lines, OutputLines):
                            fresh = tuple(line for line in lines.lines if line.time > seen)
                            seen = max([seen, *(line.time for line in fresh)])
                            if fresh or lines.missing:
                                self._sink(OutputSeen(node, attrs.evolve(lines, lines=fresh)))
                except (ClientError, CallFailed) as error:
                    self._sink(OutputSeen(node, OutputLines(task_id, (), missing=str(error))))
                await trio.sleep(RETRY_S)
