"""The power of one node: its process, from the orders of people to signals, and what became of it.

    start      a process, with the table of faults and the managers' addresses as the first line of the power pipe (its
               standard input)
    stop       StopNode, and after the grace SIGKILL; kill: a machine crash; pause, resume: SIGSTOP, SIGCONT of everything
    restart    stop, then start

The pipe's other end is held here and by nobody else, so it closes with this process, however that ends: the node takes
that for a power cut. A node is watched and never brought back by itself: a kill is a kill.

Orders to one node are obeyed one after another; a kill does not wait for its turn. Every order is idempotent.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from time import time as wall_time
from typing import Protocol

import attrs
import psutil
import trio

from swarmtui.host import processes
from swarmtui.host.events import EventRing
from swarmtui.host.files import last_line
from swarmtui.host.identity import ProcessName, boot_id
from swarmtui.host.layout import NodeLayout
from swarmtui.host.spawning import NodeProcess, Spawn
from swarmtui.objects.manifest import NodeEntry
from swarmtui.storage.errors import UNUSABLE_STATUS
from swarmtui.wire.host_calls import NodePower, Power
from swarmtui.wire.node_calls import LinkFault, StopNode

STOP_GRACE_S = 10.0  # Docker's stop_grace_period, where nothing else is known
START_LIMIT_S = 5.0  # to begin a process, before the order is given up
ASK_LIMIT_S = 3.0  # a node that cannot be reached is killed after this, however long its grace
ASK_RETRY_S = 0.1
SWEEP_DELAY_S = (
    1.0  # after the end of a node: its launcher clears up meanwhile, and the others have an election to hold
)
NODE_LOG_BYTES_MAX = 5 * 1024 * 1024
UP = (Power.RUNNING, Power.PAUSED)


class PowerRefused(Exception):
    """An order that this node cannot obey; one sentence with what to do."""


class NotReached(Exception):
    """A node did not answer; one sentence why."""


class NodeCalls(Protocol):
    """How the host speaks with a node."""

    async def stop_node(self, node: NodeEntry, call: StopNode, timeout_s: float) -> None:
        """Returns when the node has agreed to stop. Raises NotReached."""


FindMarked = Callable[[str], Sequence[psutil.Process]]
"""The processes that carry the mark of the node with this id."""


@attrs.define
class _Run:
    """One life of the node's process."""

    process: NodeProcess
    name: ProcessName
    root: psutil.Process
    ended: trio.Event = attrs.field(factory=trio.Event)


class NodeSupply:
    """The power of one node. `run` is its nursery: it ends only by cancellation, which kills the node."""

    def __init__(
        self,
        node: NodeEntry,
        layout: NodeLayout,
        *,
        spawn: Spawn,
        check: Callable[[NodeEntry], str],
        find_marked: FindMarked,
        calls: NodeCalls,
        events: EventRing,
        handover: Callable[[str], Sequence[LinkFault]],
        changed: Callable[[NodeSupply], None],
        managers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.node = node
        self._layout = layout
        self._spawn_process = spawn
        self._check = check
        self._find_marked = find_marked
        self._calls = calls
        self._events = events
        self._handover = handover
        self._changed = changed
        self._managers = managers
        self._power = Power.STOPPED
        self._text = "not started yet"
        self._since = wall_time()
        self._wanted = Power.STOPPED  # what the end of the process will mean
        self._run: _Run | None = None
        self._turn = trio.Lock()
        self._nursery: trio.Nursery | None = None

    # ------------------------------------------------------------------------------------------------------- reading

    @property
    def power(self) -> Power:
        return self._power

    @property
    def runs(self) -> bool:
        """A process of it lives, or is about to end."""
        return self._run is not None

    @property
    def process_name(self) -> ProcessName | None:
        """Of the running process."""
        return self._run.name if self._run is not None else None

    def report(self) -> NodePower:
        pid = self._run.name.pid if self._run is not None else 0
        node = self.node
        return NodePower(node.id, node.name, node.role.value, node.address, pid, self._power, self._text, self._since)

    # -------------------------------------------------------------------------------------------------------- orders

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Holds the nursery that the node's processes are watched in."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            if self._run is not None:
                processes.send(self._run.root, signal.SIGKILL)

    async def start(self) -> None:
        """From any state to RUNNING. A paused node is resumed."""
        async with self._turn:
            run = self._run
            if run is not None and self._power in UP:
                await self._resume(run)
                return
            if run is not None:
                await run.ended.wait()  # a kill that is not over yet
            await self._start()

    async def try_start(self) -> str:
        """`start` of one among others: why it is refused, "" if it is not. A refusal is an event, too."""
        try:
            await self.start()
        except PowerRefused as error:
            return str(error)
        return ""

    async def stop(self, grace_s: float) -> None:
        """In order: the node hands over what it leads, stops its tasks and ends. After `grace_s` it is killed."""
        async with self._turn:
            run = self._run
            if run is None:
                return
            if self._power is Power.PAUSED:
                await self._resume(run)
            self._wanted = Power.STOPPED
            why = await self._ask_to_stop(run, grace_s)
            if why and not run.ended.is_set() and self._wanted is Power.STOPPED:
                await self._crash(run, Power.STOPPED, why)

    async def kill(self) -> None:
        """The machine crashes: SIGKILL to the node and to all of its tasks."""
        if self._run is not None:
            await self._crash(self._run, Power.KILLED, "")

    async def pause(self) -> None:
        """SIGSTOP to the node and to all of its tasks."""
        async with self._turn:
            run = self._living()
            self._become(Power.PAUSED, "")  # first, so that no published port leads there any more
            await processes.freeze(run.root, self._marked)

    async def resume(self) -> None:
        """SIGCONT in the reverse order. Sent also if we know of no pause: somebody else may have paused it."""
        async with self._turn:
            await self._resume(self._living())

    async def restart(self, grace_s: float) -> None:
        """Stop in order, then start."""
        await self.stop(grace_s)
        await self.start()

    async def let_go(self) -> None:
        """The node is none of ours any more: killed, and never started again."""
        async with self._turn:
            await self.kill()
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
                self._nursery = None

    # ------------------------------------------------------------------------------------------------------- the life

    async def _start(self) -> None:
        if self._nursery is None:
            raise PowerRefused("the host is shutting down")
        if why := self._check(self.node):
            self._become(Power.REFUSED, why)
            raise PowerRefused(f"{self.node.name} is refused: {why}")
        self._rotate_log()
        self._wanted = Power.EXITED
        faults = [attrs.asdict(fault) for fault in self._handover(self.node.id)]
        line = json.dumps({"faults": faults, "managers": dict(self._managers())}).encode() + b"\n"
        try:
            run = await self._spawn()
        except OSError as error:
            self._become(Power.EXITED, f"cannot be started: {error.strerror or error}")
            raise PowerRefused(f"{self.node.name} cannot be started: {error.strerror or error}") from error
        self._run = run
        self._become(Power.RUNNING, "")
        self._nursery.start_soon(self._watch, run)
        with trio.move_on_after(START_LIMIT_S):
            try:
                await run.process.pipe.send_all(line)
            except trio.BrokenResourceError:
                await run.ended.wait()  # it has ended already, and `_watch` says how

    async def _spawn(self) -> _Run:
        log = os.open(self._layout.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            process = await self._spawn_process(self._layout.directory, log)
        finally:
            os.close(log)
        root = psutil.Process(process.pid)  # nobody reaps it before `_watch`, so the pid is still this process's
        name = ProcessName(process.pid, root.create_time(), boot_id())
        return _Run(process, name, root)

    async def _watch(self, run: _Run) -> None:
        """Waits for the end of the process, says what it meant, and sees that nothing of it is left."""
        status = await run.process.wait()
        ended_at = wall_time()
        await run.process.pipe.aclose()
        power, text = self._meaning(status)
        self._run = None
        run.ended.set()
        self._become(power, text, status=status)
        await trio.sleep(SWEEP_DELAY_S)
        await trio.to_thread.run_sync(self._sweep_before, ended_at)

    def _meaning(self, status: int | None) -> tuple[Power, str]:
        if self._wanted is not Power.EXITED:
            return self._wanted, self._text if self._wanted is self._power else ""
        if status is None:
            return Power.EXITED, "ended, and nobody can tell how"
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        said = last_line(self._layout.log) if status > 0 else ""
        if status == UNUSABLE_STATUS:
            return Power.REFUSED, said or how
        return Power.EXITED, f"{how}: {said}" if said else how

    async def _ask_to_stop(self, run: _Run, grace_s: float) -> str:
        """Returns "" when it has ended, or why it did not."""
        with trio.move_on_after(grace_s):
            give_up = trio.current_time() + ASK_LIMIT_S
            while not run.ended.is_set():
                try:
                    await self._calls.stop_node(self.node, StopNode(), grace_s)
                    await run.ended.wait()
                except NotReached as error:
                    # It is not listening yet, or it was so quick that its answer was lost.
                    if trio.current_time() >= give_up:
                        return f"killed, for it cannot be asked to stop: {error}"
                    with trio.move_on_after(ASK_RETRY_S):
                        await run.ended.wait()
            return ""
        return f"killed after a grace of {grace_s:g} s"

    async def _crash(self, run: _Run, meaning: Power, text: str) -> None:
        if not run.ended.is_set():
            self._wanted = meaning
            self._become(meaning, text, announce=False)  # it is announced when it has ended
        await processes.crash(run.root)
        await run.ended.wait()

    def _living(self) -> _Run:
        if self._run is None or self._power not in UP:
            raise PowerRefused(f"{self.node.name} is {self._power.value}; start it first")
        return self._run

    async def _resume(self, run: _Run) -> None:
        await processes.thaw(run.root, self._marked)
        if self._power is Power.PAUSED:
            self._become(Power.RUNNING, "")

    def _marked(self) -> Sequence[psutil.Process]:
        return self._find_marked(self.node.id)

    def _sweep_before(self, moment: float) -> None:
        """Ends what a dead node and its launcher left behind, and spares what a new start has made since."""
        for process in self._find_marked(self.node.id):
            try:
                if process.create_time() <= moment:
                    process.kill()
            except psutil.Error:
                continue

    def _rotate_log(self) -> None:
        try:
            if self._layout.log.stat().st_size > NODE_LOG_BYTES_MAX:
                self._layout.log.replace(self._layout.log.with_suffix(".log.1"))
        except FileNotFoundError:
            return

    def trim_log(self) -> None:
        """A node's log that grew too long is copied aside and emptied under the node's feet: it appends, and goes on."""
        log = self._layout.log
        try:
            if log.stat().st_size <= NODE_LOG_BYTES_MAX:
                return
            log.with_suffix(".log.1").write_bytes(log.read_bytes()[-NODE_LOG_BYTES_MAX:])
            os.truncate(log, 0)
        except FileNotFoundError:
            return

    def _become(self, power: Power, text: str, *, announce: bool = True, status: int | None = None) -> None:
        changed = power is not self._power
        if changed:
            self._since = wall_time()
        self._power, self._text = power, text
        if announce and (changed or status is not None):
            said = f"{self.node.name} is {power.value}" + (f": {text}" if text else "")
            pid = self._run.name.pid if self._run is not None else 0
            data = {"node": self.node.name, "power": power.value, "pid": pid, "status": status}
            self._events.emit("host", said, about=self.node.id, data=data)
        self._changed(self)
