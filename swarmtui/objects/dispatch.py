"""What a node's agent and the leader's dispatcher say to one another.

The agent opens a session through any manager; a manager that does not lead relays it to the leader. An assignment is
believed by its (term, index): the agent persists the highest it has obeyed and ignores anything lower, so a deposed
leader cannot stop or start a task. A *complete* set, the only message that may stop tasks by their absence, is sent only
after the leader confirmed its quorum after the session was opened.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from swarmtui.objects.records import NodeDescription, Task, TaskStatus


@attrs.frozen
class Register:
    """Agent to dispatcher: open a session. `session` is a random text made by the agent; everything in the session
    carries it, so that a late message of an old session is recognised."""

    node_id: str
    session: str
    description: NodeDescription
    address: str


@attrs.frozen
class Registered:
    """Dispatcher to agent: the session is open. `heartbeat_s` is how often to beat."""

    session: str
    term: int
    heartbeat_s: float
    node_timeout_s: float


@attrs.frozen
class Beat:
    """Agent to dispatcher: I am here. The dispatcher answers each with the same, so that an agent whose link is cut
    (silence, never an end-of-file) notices it and tries another manager."""

    session: str


@attrs.frozen
class StatusReport:
    """Agent to dispatcher: what its tasks do now. Sent for every task on a new session, then for each change.
    `serial` is acknowledged by `ReportReceived` once the statuses are committed; unacknowledged reports are sent again."""

    session: str
    serial: int
    statuses: tuple[tuple[str, TaskStatus], ...]  # (task id, status)


@attrs.frozen
class ReportReceived:
    """Dispatcher to agent: this report is committed, or holds nothing that had to be."""

    session: str
    serial: int


@attrs.frozen
class Assignment:
    """Dispatcher to agent: what to run. `complete`: the tasks are all there are, and any other task here is to be
    stopped and forgotten; else they are changes to apply, and `removed` are task ids to forget once stopped."""

    session: str
    term: int
    index: int
    complete: bool
    tasks: tuple[Task, ...]
    removed: tuple[str, ...] = ()
    addresses: Mapping[str, str] = {}  # of all services with a published port: "web" -> "127.0.0.1:8080"
    managers: Mapping[str, str] = {}  # where sessions may be opened: node id -> address; empty: as before


@attrs.frozen
class SessionEnded:
    """Either side, or a relay between them: this session is over; the agent opens a new one. `leader_id` is a hint where."""

    session: str
    reason: str
    leader_id: str = ""


DispatchMessage = Register | Registered | Beat | StatusReport | ReportReceived | Assignment | SessionEnded


@attrs.frozen
class Relay:
    """Between managers only: a message of the session of `node_id`, on its way to the leader or back. The leader believes
    the manager that relays, as it believes its certificate; a manager relays only what a node said under its own id."""

    node_id: str
    message: DispatchMessage


AgentMessage = DispatchMessage | Relay
