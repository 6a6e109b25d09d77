"""The host of one cluster directory: one nursery that holds the power of all its nodes.

    wake      end what the last run left over, renew certificates, start the nodes, listen, write host.json
    serve     orders, published ports, time limits of faults; watch that the directory is still there
    down      say so in the log, stop everything at once, nodes first, then ourselves

Leaving the nursery is a power cut: every pipe closes, every node dies. The nodes never wait for the host, and nothing
here is ever a reason for an election or a rescheduling: with the host stopped, the cluster goes on unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from time import time as wall_time

import attrs
import trio

from swarmtui.agent.sweep import find_marked, kill_marked
from swarmtui.host.answers import Answers
from swarmtui.host.create import renew_certificates, repair_node
from swarmtui.host.events import EventRing
from swarmtui.host.faults import FaultTable
from swarmtui.host.feed import Feed
from swarmtui.host.household import Household
from swarmtui.host.identity import ProcessName
from swarmtui.host.info import HostInfo, read_info, write_info
from swarmtui.host.layout import Layout
from swarmtui.host.leftovers import end_leftovers, read_processes, write_processes
from swarmtui.host.lines import NodeLines
from swarmtui.host.members import why_out
from swarmtui.host.ports import PublishedPorts
from swarmtui.host.power import STOP_MARGIN_S, PowerSupply
from swarmtui.host.spawning import Foundry, Spawn
from swarmtui.host.supply import NodeSupply
from swarmtui.objects.codec import MalformedObject, decode_json, encode_json
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.operations import Transaction, Update
from swarmtui.objects.states import NodeRole
from swarmtui.storage.files import replace_file
from swarmtui.wire.admission import Refusal
from swarmtui.wire.certificates import load_credentials
from swarmtui.wire.connection import Connection
from swarmtui.wire.host_calls import HostReport, Power
from swarmtui.wire.listener import serve
from swarmtui.wire.node_calls import LinkFault
from swarmtui.wire.responder import answer_calls

LOOK_S = 0.5  # between two looks at the directory
LOGS_EVERY_LOOKS = 20  # and at the sizes of the nodes' logs
SAY_DOWN_LIMIT_S = 1.0  # to commit "shutting down" before going on without
SAY_UP_RETRY_S = 0.2
LAST_ANSWER_S = 0.3  # the answer to ShutDown leaves before we do


class Host:
    """`run` returns when the host was shut down or its directory has gone."""

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        events: EventRing,
        *,
        spawn: Spawn,
        foundry: Foundry | None = None,
    ) -> None:
        self.layout = Layout(directory)
        self.events = events
        self.household = Household(self.layout, manifest, events)
        self._lines = NodeLines(load_credentials(self.layout.certificate("host"), self.layout.authority_certificate))
        self._feed = Feed(manifest.managers, self._lines, self._records_changed)
        self._spawn = spawn
        self._foundry = foundry
        self._find_marked = partial(find_marked, manifest.id)
        self.power = PowerSupply(
            manifest,
            self._read_faults(),
            make_supply=self._make_supply,
            calls=self._lines,
            events=events,
            save=self._save_faults,
            grace_s=self._feed.longest_grace_s,
        )
        self.household.settle(self.power, self._feed, self._lines, self._take_in)
        self.ports = PublishedPorts(lambda: self._feed.best, self._usable, events)
        self._born = os.stat(directory)
        self._awake = False
        self._nursery: trio.Nursery | None = None
        self._records = trio.Event()  # set when they change
        self._down = trio.Event()
        self._is_down = trio.Event()

    # ------------------------------------------------------------------------------------------------------ the life

    async def run(self, *, task_status: trio.TaskStatus[HostInfo] = trio.TASK_STATUS_IGNORED) -> None:
        await self._wake()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            if self._foundry is not None:
                nursery.start_soon(self._foundry.run)
            for supply in self.power.supplies.values():
                await self._take_in(supply)
            self._awake = True
            nursery.start_soon(self._start_all)
            address = await nursery.start(self._listen)
            info = self._info(address)
            write_info(self.layout, info)
            self.events.emit("host", f"host of {self.manifest.name} listens on {address}", data={"pid": info.pid})
            nursery.start_soon(self.power.run)
            nursery.start_soon(self._feed.run)
            nursery.start_soon(self.household.roles.run)
            nursery.start_soon(self.ports.run)
            nursery.start_soon(self._say_up)
            nursery.start_soon(self._shut_down_when_told)
            task_status.started(info)
            await self._until_over(info)
            nursery.cancel_scope.cancel()
        if self._directory_is_ours():
            self.layout.host_info.unlink(missing_ok=True)

    async def _take_in(self, supply: NodeSupply) -> None:
        assert self._nursery is not None
        await self._nursery.start(supply.run)

    @property
    def manifest(self) -> Manifest:
        return self.household.manifest

    def shut_down(self) -> None:
        """Begin `down`; `run` returns once all has stopped."""
        self._down.set()

    async def wait_down(self) -> None:
        """Until every node has stopped."""
        await self._is_down.wait()

    def report(self) -> HostReport:
        return HostReport(
            name=self.manifest.name,
            cluster_id=self.manifest.id,
            pid=os.getpid(),
            nodes=tuple(supply.report() for supply in self.power.supplies.values()),
            faults=self.power.faults(),
            links={id: faults for id, faults in self.power.links().items() if faults},
            published=self.ports.report(),
            directory=str(self.layout.directory),
        )

    @property
    def is_shutting_down(self) -> bool:
        return self._down.is_set()

    # ------------------------------------------------------------------------------------------------------- waking up

    async def _wake(self) -> None:
        ran = read_processes(self.layout).values()
        await end_leftovers(ran, self.manifest.id, lambda text: self.events.emit("host", text))
        self._renew()

    async def _start_all(self) -> None:
        """Managers first: they have an election to hold."""
        for role in (NodeRole.MANAGER, NodeRole.WORKER):
            supplies = [supply for supply in self.power.supplies.values() if supply.node.role is role]
            await self._all_at_once(supply.try_start for supply in supplies)

    def _make_supply(self, node: NodeEntry, handover: Callable[[str], Sequence[LinkFault]]) -> NodeSupply:
        return NodeSupply(
            node,
            self.layout.node(node.name),
            spawn=self._spawn,
            check=self._check,
            find_marked=self._find_marked,
            calls=self._lines,
            events=self.events,
            handover=handover,
            changed=self._power_changed,
            managers=self.household.manager_addresses,
        )

    def _check(self, node: NodeEntry) -> str:
        """Before a start: why this node cannot be started; "" if it can. Makes good what may be made good."""
        why = repair_node(self.layout, node, self.manifest)
        if not why and node.role is NodeRole.MANAGER:
            why = why_out(self.layout, self.manifest, node)
        if not why:
            self._renew()
        return why

    def _renew(self) -> None:
        for name in renew_certificates(self.layout, self.manifest, wall_time()):
            self.events.emit("host", f"the certificate of {name} is past half its life and was renewed")

    def _info(self, address: str) -> HostInfo:
        name = ProcessName.of(os.getpid())
        if name is None:
            raise RuntimeError("the process that asks cannot be dead")
        return HostInfo(name.pid, name.start_time, name.boot_id, address)

    async def _say_up(self) -> None:
        """After `down` the log says "shutting down": take that back as soon as somebody leads."""
        while not self._down.is_set():
            changed = self._records
            cluster = self._feed.best.cluster
            if cluster is None or not cluster.shutting_down:
                await changed.wait()
                continue
            again = attrs.evolve(cluster, shutting_down=False)
            change = Transaction((Update(again, version=cluster.version),))
            await self._lines.propose(self._powered_managers(), change, SAY_DOWN_LIMIT_S)
            await trio.sleep(SAY_UP_RETRY_S)

    # ----------------------------------------------------------------------------------------------------- being there

    async def _listen(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        own, authority = self.layout.certificate("host"), self.layout.authority_certificate
        answers = Answers(self)

        async def converse(connection: Connection) -> None:
            await answer_calls(connection, answers.answer, on_refused=self._refused)

        await serve(
            "127.0.0.1:0",
            load_credentials(own, authority),
            converse,
            on_refused=self._refused,
            task_status=task_status,
        )

    def _refused(self, refusal: Refusal) -> None:
        self.events.emit("refused", str(refusal))

    async def _until_over(self, info: HostInfo) -> None:
        """Returns when everything has stopped, or when there is nothing left to be the host of."""
        looks = 0
        while not self._is_down.is_set():
            if not self._directory_is_ours():
                return
            self._stay_known(info)
            looks += 1
            if looks % LOGS_EVERY_LOOKS == 0:
                for supply in self.power.supplies.values():
                    supply.trim_log()
            with trio.move_on_after(LOOK_S):
                await self._is_down.wait()
                await trio.sleep(LAST_ANSWER_S)

    def _stay_known(self, info: HostInfo) -> None:
        """Who looks for the host reads `host.json`. Without it `down` says that nothing runs, and `up` waits in vain."""
        if read_info(self.layout) == info:
            return
        harm = "damaged" if self.layout.host_info.exists() else "deleted"
        try:
            write_info(self.layout, info)
        except OSError:
            return  # tried again with the next look
        self.events.emit("host", f"{self.layout.host_info.name} was {harm}, and is written again")

    def _directory_is_ours(self) -> bool:
        try:
            now = os.stat(self.layout.directory)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == (self._born.st_dev, self._born.st_ino)

    def _usable(self, node_id: str) -> bool:
        """A node of this machine with its power on, or one that is not of this machine."""
        return self.power.power_of(node_id) in (Power.RUNNING, None)

    def _records_changed(self) -> None:
        self._records.set()
        self._records = trio.Event()
        self.ports.changed()
        self.household.roles.changed()

    def _power_changed(self, supply: NodeSupply) -> None:
        if not self._awake:
            return
        self.power.power_changed()
        self.ports.changed()
        self.household.roles.changed()
        running = {each.node.id: each.process_name for each in self.power.supplies.values()}
        self._save(lambda: write_processes(self.layout, {id: name for id, name in running.items() if name is not None}))

    # -------------------------------------------------------------------------------------------------------- the end

    async def _shut_down_when_told(self) -> None:
        await self._down.wait()
        limit_s = self._feed.longest_grace_s() + STOP_MARGIN_S
        self.events.emit("host", f"shutting down, within {limit_s:g} s")
        supplies = self.power.supplies.values()
        with trio.move_on_after(limit_s):
            await self._say_down()
            await self._all_at_once(partial(supply.stop, limit_s) for supply in supplies)
        await self._all_at_once(supply.kill for supply in supplies)
        self.power.forget_faults()
        await kill_marked(self.manifest.id)
        self.events.emit("host", "every node has stopped")
        self._is_down.set()

    async def _all_at_once(self, orders: Iterable[Callable[[], Awaitable[object]]]) -> None:
        async with trio.open_nursery() as nursery:
            for order in orders:
                nursery.start_soon(order)

    async def _say_down(self) -> None:
        """Commit "shutting down", so that what ends now counts as no failure; without a quorum we go on."""
        cluster = self._feed.best.cluster
        if cluster is None or cluster.shutting_down:
            return
        change = Transaction((Update(attrs.evolve(cluster, shutting_down=True), version=cluster.version),))
        with trio.move_on_after(SAY_DOWN_LIMIT_S):
            if await self._lines.propose(self._powered_managers(), change, SAY_DOWN_LIMIT_S):
                return
        self.events.emit("host", "no quorum to note the shutdown; going on without")

    def _powered_managers(self) -> list[NodeEntry]:
        return [node for node in self.manifest.managers if self._usable(node.id)]

    # --------------------------------------------------------------------------------------------------------- on disk

    def _read_faults(self) -> FaultTable:
        """The links as they were left; power is back everywhere, for every node is being started."""
        names = tuple(node.name for node in self.manifest.nodes)
        try:
            table = decode_json(self.layout.faults.read_bytes(), FaultTable)
        except FileNotFoundError:
            return FaultTable(names)
        except (OSError, MalformedObject) as error:
            self.events.emit("host", f"{self.layout.faults} cannot be read, all links are whole: {error}")
            return FaultTable(names)
        return attrs.evolve(table, nodes=names).since_at_most(wall_time()).powered_on().expire(wall_time())

    def _save_faults(self, table: FaultTable) -> None:
        # Not synced: a kill must not wait for the disk, and after a crash of the machine every link is whole anyway.
        self._save(lambda: replace_file(self.layout.faults, encode_json(table).encode(), durable=False))

    def _save(self, write: Callable[[], None]) -> None:
        """A full disk or a directory that has gone must not keep anybody from healing."""
        try:
            write()
        except OSError as error:
            self.events.emit("host", f"cannot write in {self.layout.directory}: {error.strerror or error}")
