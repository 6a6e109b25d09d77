"""How far a service is from what is wanted of it: pure, and the loop that waits for it.

A slot is there when a task of the *wanted* spec runs in it. docker's attached commands ask the same every 200 ms
(docker/cli cli/command/service/progress) and then watch for five seconds more; here a service must hold for one, so
that a program that ends at once is seen and a person does not wait for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import trio

from swarmtui.commands.command import Context
from swarmtui.commands.errors import CommandFailed
from swarmtui.commands.listings import natural
from swarmtui.commands.output import Progress, SlotMark, SlotProgress
from swarmtui.commands.published import say_ports_in_trouble
from swarmtui.commands.views import fetch
from swarmtui.objects.counting import down_nodes
from swarmtui.objects.matching import is_clean
from swarmtui.objects.records import Node, Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import TaskState

POLL_S = 0.1
STEADY_S = 1.0
EMPTY_GLOBAL_S = 2.0  # a global service without any task for this long fits no node


@attrs.frozen
class Convergence:
    """Where a service stands. `stuck` are the reasons of the `unplaceable` slots, which no node fits; `failures` those of
    the `ended` slots, whose task ended and is not restarted, if it failed. `outdated` slots run what was wanted before."""

    service: str
    slots: tuple[SlotProgress, ...]
    running: int
    wanted: int
    surplus: int  # tasks that still run and are wanted no more
    unplaceable: int = 0
    stuck: tuple[str, ...] = ()
    ended: int = 0
    failures: tuple[str, ...] = ()
    outdated: int = 0

    @property
    def is_reached(self) -> bool:
        return self.running == self.wanted and not self.surplus

    @property
    def is_over(self) -> bool:
        """Nothing more will come: what does not run has ended, and the restart policy wants no other."""
        return self.ended > 0 and not self.surplus and self.running + self.ended >= self.wanted

    @property
    def is_settled(self) -> bool:
        """Reached, or as far as it can come: whatever is missing has no node that fits, has ended for good, or is updated
        only after a slot that no node fits."""
        accounted = self.running + self.unplaceable + self.ended + (self.outdated if self.unplaceable else 0)
        return self.is_reached or (not self.surplus and accounted >= self.wanted)

    @property
    def what_failed(self) -> str:
        """`2 of 3 tasks failed and are not restarted: task: non-zero exit (1)`; "" if none did."""
        if not self.failures:
            return ""
        reasons = "; ".join(dict.fromkeys(self.failures))
        return f"{len(self.failures)} of {self.wanted} tasks failed and are not restarted: {reasons}"


def convergence_of(service: Service, tasks: Iterable[Task], nodes: Iterable[Node]) -> Convergence:
    """Where `service` stands, from its tasks. Those on a node that is down are as good as gone."""
    nodes = list(nodes)
    down = down_nodes(nodes)
    by_id = {node.id: node for node in nodes}
    own = [
        task
        for task in tasks
        if task.service_id == service.id
        and (task.node_id not in down or _is_over(task, service, by_id.get(task.node_id)))
    ]
    by_slot: dict[str, list[Task]] = {}
    for task in own:
        by_slot.setdefault(_slot_name(task, by_id), []).append(task)
    progress: list[SlotProgress] = []
    running, outdated, surplus, stuck = 0, 0, 0, []
    ended: list[Task] = []
    for name in sorted(by_slot, key=natural):
        wanted_here = [task for task in by_slot[name] if task.desired_state <= TaskState.RUNNING]
        surplus += sum(
            task.status.state is TaskState.RUNNING and task.desired_state > TaskState.RUNNING for task in by_slot[name]
        )
        if not wanted_here:
            newest = max(by_slot[name], key=lambda task: task.created_at)
            if _is_over(newest, service, by_id.get(newest.node_id)):
                ended.append(newest)
                progress.append(_slot_that_ended(name, newest))
            continue
        slot = _slot_progress(name, service, wanted_here, by_id)
        progress.append(slot)
        running += slot.mark is SlotMark.RUNNING
        outdated += slot.mark is SlotMark.MOVING and any(_runs(task) for task in wanted_here)
        if slot.mark is SlotMark.FAILED:
            stuck.append(slot.text)
    wanted = service.mode.replicas if isinstance(service.mode, ReplicatedMode) else len(progress)
    return Convergence(
        service.name,
        tuple(progress),
        running,
        wanted,
        surplus,
        len(stuck),
        tuple(dict.fromkeys(stuck)),
        len(ended),
        tuple(task.status.error or task.status.state.word for task in ended if _has_failed(task)),
        outdated,
    )


def _slot_name(task: Task, nodes: Mapping[str, Node]) -> str:
    """Its number, or the node that a global service's task stands for."""
    node = nodes.get(task.node_id)
    return str(task.slot or (node.name if node is not None else "") or task.node_id)


def _runs(task: Task) -> bool:
    return task.status.state is TaskState.RUNNING and task.desired_state is TaskState.RUNNING


def _is_over(task: Task, service: Service, node: Node | None) -> bool:
    """It ended, and stays in its slot as the last one until an update replaces it: the managers restart no other there."""
    stays = task.status.state.is_terminal and task.desired_state is TaskState.SHUTDOWN
    return stays and is_clean(task, service, node)


def _has_failed(task: Task) -> bool:
    return task.status.state is not TaskState.COMPLETE


def _slot_that_ended(name: str, task: Task) -> SlotProgress:
    word = task.status.state.name.lower()
    if not _has_failed(task):
        return SlotProgress(name, SlotMark.WAITING, f"{word}, not restarted")
    text = f"{word}, not restarted" + (f": {task.status.error}" if task.status.error else "")
    return SlotProgress(name, SlotMark.FAILED, text, trouble=True)


def _slot_progress(name: str, service: Service, tasks: Sequence[Task], nodes: Mapping[str, Node]) -> SlotProgress:
    clean = [task for task in tasks if is_clean(task, service, nodes.get(task.node_id))]
    task = max(
        clean or tasks, key=lambda task: (task.desired_state, task.status.state <= TaskState.RUNNING, task.created_at)
    )
    state = task.status.state
    if clean and _runs(task):
        return SlotProgress(name, SlotMark.RUNNING, "running")
    if state <= TaskState.PENDING and task.status.error:
        return SlotProgress(name, SlotMark.FAILED, task.status.error, trouble=True)
    if state.is_terminal:
        text = f"{state.name.lower()}: {task.status.error or 'to be replaced'}"
        return SlotProgress(name, SlotMark.MOVING, text, trouble=bool(task.status.error))
    mark = SlotMark.WAITING if state < TaskState.ASSIGNED else SlotMark.MOVING
    return SlotProgress(name, mark, state.name.lower())


async def wait_for_services(context: Context, service_ids: Sequence[str], *, quiet: bool = False) -> None:
    """Shows progress until every one of these services runs as wanted, or has ended for good, and has held so for a
    moment. No limit of its own: whoever waits may leave at any time, and the cluster goes on. Raises CommandFailed if tasks
    failed that are not restarted."""
    for service_id in service_ids:
        await _wait_for_one(context, service_id, quiet)


async def _wait_for_one(context: Context, service_id: str, quiet: bool) -> None:
    steady_since: float | None = None
    began = trio.current_time()
    while True:
        tables = await fetch(context, "service", "task", "node", service_id=service_id)
        service = next((service for service in tables.services if service.id == service_id), None)
        if service is None:
            raise CommandFailed(f"service {service_id[:12]} was removed while it converged")
        status = service.update_status
        if status is not None and status.state.is_paused:
            raise CommandFailed(f"{service.name}: update {status.state.replace('_', ' ')}: {status.message}")
        now = trio.current_time()
        standing = convergence_of(service, tables.tasks, tables.nodes)
        has_begun = standing.wanted > 0 or isinstance(service.mode, ReplicatedMode) or now - began > EMPTY_GLOBAL_S
        reached = (standing.is_reached or standing.is_over) and has_begun and not tables.stale
        steady_since = (steady_since or now) if reached else None
        done = steady_since is not None and (now - steady_since >= STEADY_S or standing.wanted == 0)
        if not quiet:
            context.out.show(_progress(standing, done, reached, tables.stale))
        if done and standing.failures:
            raise CommandFailed(f"{service.name}: {standing.what_failed}; see swarmtui service ps {service.name}")
        if done:
            await say_ports_in_trouble(context, {port.published_port for port in service.spec.endpoint_spec.ports})
            return
        await trio.sleep(POLL_S)


def _progress(standing: Convergence, done: bool, reached: bool, stale: bool) -> Progress:
    if done and standing.ended:
        text = f"{standing.ended} of {standing.wanted} tasks ended and are not restarted"
    elif done:
        text = f"Service {standing.service} converged"
    elif stale:
        text = "no quorum: nothing changes until more managers come back"
    elif reached:
        text = "Waiting for tasks to be stable"
    elif standing.surplus:
        text = f"{standing.surplus} to stop"
    else:
        text = ""
    return Progress(standing.service, standing.slots, standing.running, standing.wanted, done, text)
