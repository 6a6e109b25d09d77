"""The living cluster as the console's backend: every node observed side by side, in trio.

    each node   its report, then its marks and events for ever; lost, it is dialled again; nodes come and go
    records     from the most advanced manager that answers, another one when that falls behind or silent
    the host    what it powers and what is broken, on every event of its own and twice a second
    the log     the ranges that the screen asks for, one question a node at a time
    output      of the tasks that are listened to

What fails is told to the screen as silence or as its reason and tried again; nothing here ends but by `stop`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from swarmtui.causes import innermost
from swarmtui.client import Cluster, connect
from swarmtui.client.discovery import read_manifest
from swarmtui.client.errors import ClientError, NoCluster, NotReached
from swarmtui.console.backend import Answer, Sink
from swarmtui.console.log_questions import LogQuestions
from swarmtui.console.model.observations import (
    EventSeen,
    HostSeen,
    MarkSeen,
    NodeLinked,
    NodeLost,
    NodesSeen,
    Observation,
    RecordsSeen,
)
from swarmtui.console.order_runner import command_words, run_order
from swarmtui.console.output_streams import OutputStreams
from swarmtui.console.trio_host import TrioHost, TrioStopped
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import NodeEntry
from swarmtui.wire.node_calls import GetStatus, Mark, NodeReport, Observe, RecordsChanged, WatchRecords
from swarmtui.wire.rpc import CallFailed

TABLES = ("node", "service", "task")
RETRY_S = 0.2
RETRY_MAX_S = 1.0
REPORT_TIMEOUT_S = 2.0
HOST_POLL_S = 0.5
NODES_LOOK_S = 0.25  # how soon a node that joined is shown
MEMBERS_EVENT = "members"  # how raft's event of a new configuration begins
HOST_POLL_MAX_S = 3.0  # while it does not answer
SOURCE_LOOK_S = 0.25  # how often it is judged whether records come from the right manager
SOURCE_SILENT_S = 2.5
SOURCE_BEHIND_MAX = 50  # entries

Failure = (ClientError, CallFailed)


class ClusterLink:
    """A Backend. `role` is whose certificate is shown: `admin`, or `observer` who may only look."""

    def __init__(self, directory: Path, *, role: str = "admin") -> None:
        self._directory = directory
        self._role = role
        self._trio = TrioHost(self._over)
        self._sink: Sink | None = None
        self._cluster: Cluster | None = None
        self._failure = ""
        self._marks: dict[str, tuple[Mark, float]] = {}
        self._questions: LogQuestions | None = None
        self._outputs: OutputStreams | None = None
        self._host_moved = trio.Event()
        self._marked = trio.Event()  # by any node: there may be a source of records now

    # ---------------------------------------------------------------------------------------------- from the screen

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._trio.start(self._main)

    async def stop(self) -> None:
        await self._trio.stop()

    def ask_log(self, node: str, first: int, last: int) -> None:
        if self._questions is not None:
            self._questions.ask(node, first, last)

    def listen(self, tasks: Sequence[tuple[str, str]], *, anew: bool = True) -> None:
        if self._outputs is not None:
            self._outputs.follow(tasks, anew=anew)

    async def run(self, words: Sequence[str]) -> Answer:
        cluster = self._cluster
        if cluster is None:
            return Answer(4, error=self._failure or "not connected yet")
        try:
            answer = await self._trio.ask(partial(run_order, cluster, words))
        except TrioStopped as error:
            return Answer(4, error=str(error))
        self._host_moved.set()
        return answer

    def suggestions(self) -> Sequence[str]:
        return command_words()

    # -------------------------------------------------------------------------------------------------------- trio

    def _say(self, observation: Observation) -> None:
        if self._sink is not None:
            self._sink(observation)

    def _over(self, error: BaseException | None) -> None:
        """trio has ended. Not asked for: the screen goes on with what it knows, and says why no more comes."""
        self._cluster = None
        if error is not None:
            self._failure = f"the console's connection failed: {_named(innermost(error))}"
            for node in self._marks:
                self._say(NodeLost(node, self._failure))

    async def _main(self) -> None:
        async with connect(self._directory, role=self._role) as cluster, trio.open_nursery() as nursery:
            self._cluster = cluster
            self._questions = LogQuestions(cluster, self._say, nursery)
            self._outputs = OutputStreams(cluster, self._say, nursery)
            nursery.start_soon(self._follow_nodes, cluster, nursery)
            nursery.start_soon(self._follow_records, cluster)
            nursery.start_soon(self._follow_host, cluster)
            nursery.start_soon(self._poll_host, cluster)

    async def _follow_nodes(self, cluster: Cluster, nursery: trio.Nursery) -> None:
        """An observer for each node that there is. One that is gone leaves nothing behind but its name in the log."""
        seen: tuple[NodeEntry, ...] = ()
        scopes: dict[str, trio.CancelScope] = {}
        while True:
            nodes = cluster.manifest.nodes
            if nodes != seen:
                self._say(NodesSeen(nodes))
                for node_id in scopes.keys() - {node.id for node in nodes}:
                    scopes.pop(node_id).cancel()
                for node in nodes:
                    if node.id not in scopes:
                        scope = scopes[node.id] = trio.CancelScope()
                        nursery.start_soon(self._observe_in, scope, cluster, node.name)
                seen = nodes
            await trio.sleep(NODES_LOOK_S)

    async def _observe_in(self, scope: trio.CancelScope, cluster: Cluster, node: str) -> None:
        with scope:
            await self._observe(cluster, node)
        self._marks.pop(node, None)

    async def _report(self, cluster: Cluster, node: str) -> NodeReport | None:
        report = await cluster.ask(node, GetStatus(), REPORT_TIMEOUT_S)
        if isinstance(report, NodeReport):
            self._say(NodeLinked(node, report))
            return report
        return None

    async def _observe(self, cluster: Cluster, node: str) -> None:
        """One node, whatever happens to it."""
        seq, started, pause = -1, 0.0, RETRY_S
        while True:
            try:
                report = await self._report(cluster, node)
                if report is not None:
                    if report.started_at != started:  # another process counts its events from 1 again
                        seq, started = -1, report.started_at
                    pause = RETRY_S
                async for item in cluster.stream(node, Observe(seq, marks=True)):
                    if isinstance(item, Mark):
                        self._marks[node] = (item, time.monotonic())
                        self._marked.set()
                        self._say(MarkSeen(node, item))
                    elif isinstance(item, Event):
                        seq = item.seq
                        self._say(EventSeen(item))
                        if item.data.get("what") == MEMBERS_EVENT or item.text.startswith(MEMBERS_EVENT):
                            await self._report(cluster, node)  # who votes is in its report
                self._say(NodeLost(node, "the connection ended"))
            except Failure as error:
                self._marks.pop(node, None)
                refused = isinstance(error, NotReached) and error.refused
                self._say(NodeLost(node, getattr(error, "reason", "") or str(error), refused))
            await trio.sleep(pause)
            pause = min(RETRY_MAX_S, pause * 1.5)

    # ------------------------------------------------------------------------------------------------------ records

    async def _follow_records(self, cluster: Cluster) -> None:
        """The records of the best manager; begun again whenever another is better."""
        while True:
            source = self._best_source()
            if not source:
                self._marked = trio.Event()
                await self._marked.wait()
                continue
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave_when_worse, source, nursery.cancel_scope)
                await self._records_of(cluster, source)
                nursery.cancel_scope.cancel()
            await trio.sleep(RETRY_S)

    async def _records_of(self, cluster: Cluster, source: str) -> None:
        try:
            async for change in cluster.stream(source, WatchRecords(TABLES)):
                if isinstance(change, RecordsChanged):
                    self._say(RecordsSeen(source, change))
        except Failure:
            return  # its own observer tells the screen

    async def _leave_when_worse(self, source: str, scope: trio.CancelScope) -> None:
        while True:
            await trio.sleep(SOURCE_LOOK_S)
            best = self._best_source()
            if not best or best == source:
                continue
            mine, theirs = self._fresh_mark(source), self._fresh_mark(best)
            if mine is None or (theirs is not None and theirs.commit - mine.commit > SOURCE_BEHIND_MAX):
                scope.cancel()
                return
            if theirs is not None and theirs.holds_quorum and theirs.term > mine.term:  # we are on the other side
                scope.cancel()
                return

    def _fresh_mark(self, node: str) -> Mark | None:
        mark, heard = self._marks.get(node, (None, 0.0))
        return mark if mark is not None and time.monotonic() - heard < SOURCE_SILENT_S else None

    def _best_source(self) -> str:
        """The manager to read from: the leader that holds a quorum, else whoever has applied most."""
        marks = {node: mark for node in self._marks if (mark := self._fresh_mark(node)) is not None and mark.last}
        return max(marks, key=lambda node: (marks[node].holds_quorum, marks[node].applied, node), default="")

    # --------------------------------------------------------------------------------------------------------- host

    async def _follow_host(self, cluster: Cluster) -> None:
        """The host's own events: faults come and go by them."""
        seq, pause = -1, RETRY_S
        while True:
            try:
                async for item in cluster.host.observe(Observe(seq, marks=False)):
                    if isinstance(item, Event):
                        seq, pause = item.seq, RETRY_S
                        self._say(EventSeen(item))
                        self._host_moved.set()
            except Failure:
                seq = -1  # by the time it answers it is another process, and tells what it has done since it began
            await trio.sleep(pause)
            pause = min(HOST_POLL_MAX_S, pause * 1.5)

    async def _poll_host(self, cluster: Cluster) -> None:
        pause = HOST_POLL_S
        while True:
            try:
                self._say(HostSeen(await cluster.host.report()))
                pause = HOST_POLL_S
            except Failure as error:
                gone = self._gone(cluster)
                self._say(HostSeen(None, gone or str(error), final=bool(gone)))
                pause = min(HOST_POLL_MAX_S, pause * 1.5)
            with trio.move_on_after(pause):
                await self._host_moved.wait()
            self._host_moved = trio.Event()

    @staticmethod
    def _gone(cluster: Cluster) -> str:
        """Why this cluster will never answer again, "" while it may."""
        try:
            now_here = read_manifest(cluster.directory)
        except NoCluster:
            return "its directory is gone: leave with q"
        if now_here.id != cluster.manifest.id:
            return "another cluster has taken its directory: leave with q and open the console again"
        return ""


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
