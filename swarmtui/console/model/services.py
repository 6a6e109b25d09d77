"""Services and tasks as rows: is each service at its wanted count, and if not, why.

A task counts as running only while its node is not known to be dead: the store learns of a death a moment later than
the eye should.
"""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import attrs

from swarmtui.objects.records import Service, Task
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import TaskState

SERVICE_INKS = 8
HISTORY_SHOWN_MAX = 3  # ended attempts shown under a slot


class ServiceState(enum.Enum):
    STEADY = enum.auto()
    STARTING = enum.auto()
    STOPPING = enum.auto()
    UPDATING = enum.auto()
    RESTARTING = enum.auto()  # a task ended and the next attempt is to come
    STUCK = enum.auto()  # a task fits nowhere
    EMPTY = enum.auto()  # nothing is wanted


@attrs.frozen
class ServiceRow:
    """`letter` and `ink` mark the service's blocks wherever they appear."""

    id: str
    name: str
    letter: str
    ink: int
    mode: str  # replicated | global
    running: int
    wanted: int
    state: ServiceState
    text: str
    image: str
    ports: str

    @property
    def is_short(self) -> bool:
        return self.running < self.wanted


@attrs.frozen
class TaskRow:
    """One attempt. `past`: it is not wanted any more, or has ended. `since`: since when it is what it is shown as, 0 where
    nobody knows. `path` are the letters of the states it was seen in."""

    id: str
    name: str
    service: str
    letter: str
    ink: int
    node: str
    state: TaskState
    desired: TaskState
    since: float
    pid: int
    port: int
    error: str
    past: bool
    lost: bool  # recorded as living on a node that is known to be dead
    unheard: bool  # to be stopped, on a node that the managers do not hear: it may run on
    path: str

    @property
    def is_running(self) -> bool:
        return self.state is TaskState.RUNNING and not self.past and not self.lost

    @property
    def is_leaving(self) -> bool:
        """Told to stop, and it has something to stop."""
        return self.past and not self.lost and TaskState.ASSIGNED <= self.state <= TaskState.RUNNING


def letters_of(names: Iterable[str]) -> dict[str, str]:
    """One letter for each service, of its own name where one is free, so that blocks read without a legend."""
    taken: set[str] = set()
    letters: dict[str, str] = {}
    for name in names:
        wishes = [letter for letter in name.lower() if letter.isalnum()] + list("abcdefghijklmnopqrstuvwxyz0123456789")
        letter = next((wish for wish in wishes if wish not in taken), "*")
        taken.add(letter)
        letters[name] = letter
    return letters


def brief(error: str) -> str:
    """A reason for a narrow column: what says most stands first, as `exit 1: why` for `task: non-zero exit (1): why`."""
    return _NO_NODE.sub(r"no node fits: \1", _EXIT.sub(r"exit \1", error))


_EXIT = re.compile(r"task: non-zero exit \((-?\d+)\)")  # as the agent words it
_NO_NODE = re.compile(r"^no suitable node \((.*)\)$")  # as the scheduler does


def path_letter(state: TaskState) -> str:
    """The letter of a state in a task's path."""
    return _PATH_LETTERS[state]


_PATH_LETTERS: Mapping[TaskState, str] = {
    TaskState.NEW: "N",
    TaskState.PENDING: "N",
    TaskState.ASSIGNED: "A",
    TaskState.ACCEPTED: "A",
    TaskState.PREPARING: "P",
    TaskState.READY: "P",
    TaskState.STARTING: "S",
    TaskState.RUNNING: "R",
    TaskState.COMPLETE: "C",
    TaskState.SHUTDOWN: "X",
    TaskState.FAILED: "F",
    TaskState.REJECTED: "F",
    TaskState.REMOVE: "X",
    TaskState.ORPHANED: "?",
}


def task_rows(
    tasks: Iterable[Task],
    services: Mapping[str, ServiceRow | tuple[str, int]],
    node_names: Mapping[str, str],
    died: Mapping[str, float],
    unheard: Collection[str],
    paths: Mapping[str, str],
) -> tuple[TaskRow, ...]:
    """Every task worth a row: all that are wanted, and of each slot the last few that ended. `services` gives the letter
    and ink by service id, `died` when each dead node died. Sorted by service, slot, the newest attempt first."""
    slots: dict[tuple[str, int, str], list[Task]] = defaultdict(list)
    for task in tasks:
        slots[(task.service_name, task.slot, "" if task.slot else task.node_id)].append(task)
    rows: list[TaskRow] = []
    for key in sorted(slots, key=lambda key: (key[0], key[1], node_names.get(key[2], key[2]))):
        attempts = sorted(slots[key], key=lambda task: (_is_past(task), -task.created_at, task.id))
        past_shown = 0
        for task in attempts:
            past = _is_past(task)
            past_shown += past
            if past_shown > HISTORY_SHOWN_MAX:
                break
            node = node_names.get(task.node_id, task.node_id[:8])
            lives = TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING  # as far as the store knows
            since = task.status.timestamp
            if lives and node in died:
                since = died[node]
            elif lives and past:
                since = 0.0  # of an order to stop no time is kept
            mark = services.get(task.service_id, ("?", 0))
            letter, ink = (mark.letter, mark.ink) if isinstance(mark, ServiceRow) else mark
            rows.append(
                TaskRow(
                    id=task.id,
                    name=task.name_on(node or "?"),  # a short id where the node is not known: the column is narrow
                    service=task.service_name,
                    letter=letter,
                    ink=ink,
                    node=node,
                    state=task.status.state,
                    desired=task.desired_state,
                    since=since,
                    pid=task.status.pid,
                    port=task.status.port,
                    error=task.status.error or (task.status.message if task.status.state < TaskState.RUNNING else ""),
                    past=past,
                    lost=lives and node in died,
                    unheard=lives and past and node in unheard,
                    path=paths.get(task.id, path_letter(task.status.state)),
                )
            )
    return tuple(rows)


def _is_past(task: Task) -> bool:
    return task.status.state.is_terminal or task.desired_state > TaskState.RUNNING


def service_rows(
    services: Iterable[Service], tasks: Iterable[TaskRow], marks: Mapping[str, tuple[str, int]]
) -> tuple[ServiceRow, ...]:
    """One row for each service, by name. `marks` gives the letter and ink by service id."""
    by_service: dict[str, list[TaskRow]] = defaultdict(list)
    for task in tasks:
        by_service[task.service].append(task)
    return tuple(
        _service_row(service, by_service[service.name], *marks[service.id])
        for service in sorted(services, key=lambda service: service.name)
    )


def _service_row(service: Service, tasks: list[TaskRow], letter: str, ink: int) -> ServiceRow:
    wanted_tasks = [task for task in tasks if not task.past]
    running = sum(1 for task in tasks if task.state is TaskState.RUNNING and not task.lost and not task.past)
    leaving = [task for task in tasks if task.is_leaving]
    mode = service.mode
    replicated = isinstance(mode, ReplicatedMode)
    wanted = mode.replicas if isinstance(mode, ReplicatedMode) else len(wanted_tasks)
    state, text = _judge(service, tasks, wanted_tasks, running, wanted, leaving)
    spec = service.spec
    return ServiceRow(
        id=service.id,
        name=service.name,
        letter=letter,
        ink=ink,
        mode="replicated" if replicated else "global",
        running=running,
        wanted=wanted,
        state=state,
        text=text,
        image=spec.task_template.container_spec.image,
        ports=" ".join(f":{port.published_port}" for port in spec.endpoint_spec.ports),
    )


def _judge(
    service: Service,
    tasks: list[TaskRow],
    wanted_tasks: list[TaskRow],
    running: int,
    wanted: int,
    leaving: list[TaskRow],
) -> tuple[ServiceState, str]:
    update = service.update_status
    if update is not None and update.state.is_under_way:
        word = "rolling back" if update.state.is_rollback else "updating"
        return ServiceState.UPDATING, f"{word}: {update.message}" if update.message else word
    if running < wanted:
        return _judge_short(tasks, wanted_tasks)
    if leaving:
        unheard = sum(task.unheard for task in leaving)
        parts = [(len(leaving) - unheard, "stopping"), (unheard, "unheard")]
        return ServiceState.STOPPING, ", ".join(f"{count} {word}" for count, word in parts if count)
    if not wanted:
        return ServiceState.EMPTY, "nothing wanted"
    return ServiceState.STEADY, "steady"


def _judge_short(tasks: list[TaskRow], wanted_tasks: list[TaskRow]) -> tuple[ServiceState, str]:
    """Why fewer run than are wanted: the hardest reason first."""
    stuck = next((task for task in wanted_tasks if task.state <= TaskState.PENDING and task.error), None)
    if stuck is not None:
        return ServiceState.STUCK, brief(stuck.error)
    lost = [task for task in wanted_tasks if task.lost]
    if lost:
        return ServiceState.STARTING, f"lost with {' '.join(sorted({task.node for task in lost}))}"
    waiting = {task.name for task in wanted_tasks if not task.is_running}
    ended = [task for task in tasks if task.name in waiting and task.state in (TaskState.FAILED, TaskState.REJECTED)]
    if ended:
        latest = max(ended, key=lambda task: task.since)
        return ServiceState.RESTARTING, f"restarting: {brief(latest.error)}" if latest.error else "restarting"
    return ServiceState.STARTING, "starting"
