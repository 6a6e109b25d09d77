"""Questions for ranges of nodes' logs: one at a time of each node, always the latest wish, never more than a few a second."""

from __future__ import annotations

import trio

from swarmtui.client import Cluster
from swarmtui.client.errors import ClientError
from swarmtui.console.backend import Sink
from swarmtui.console.model.observations import LogSeen
from swarmtui.wire.node_calls import LogLines, LogRange
from swarmtui.wire.rpc import CallFailed

QUESTION_INTERVAL_S = 0.1  # of one node
ANSWER_TIMEOUT_S = 2.0


class LogQuestions:
    """`ask` keeps only the last wish of each node; a task for each node puts it as soon as the one before is answered."""

    def __init__(self, cluster: Cluster, sink: Sink, nursery: trio.Nursery) -> None:
        self._cluster = cluster
        self._sink = sink
        self._wishes: dict[str, tuple[int, int]] = {}
        self._wished: dict[str, trio.Event] = {}
        self._new = trio.Event()  # a node is asked for the first time
        nursery.start_soon(self._run)

    def ask(self, node: str, first: int, last: int) -> None:
        """Wish for these entries of this node's log."""
        self._wishes[node] = (first, last)
        if node in self._wished:
            self._wished[node].set()
        else:
            self._new.set()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                for node in [node for node in self._wishes if node not in self._wished]:
                    self._wished[node] = trio.Event()
                    self._wished[node].set()
                    nursery.start_soon(self._put, node)
                await self._new.wait()
                self._new = trio.Event()

    async def _put(self, node: str) -> None:
        while True:
            await self._wished[node].wait()
            self._wished[node] = trio.Event()
            first, last = self._wishes.pop(node)
            try:
                answer = await self._cluster.ask(node, LogRange(first, last), ANSWER_TIMEOUT_S)
                if isinstance(answer, LogLines):
                    self._sink(LogSeen(node, answer))
            except (ClientError, CallFailed):
                pass  # the screen wishes again as long as it shows these rows
            await trio.sleep(QUESTION_INTERVAL_S)
