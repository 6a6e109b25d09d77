"""The dispatcher: every agent's session ends here. Three verbs: feed a message, drain effects, read the deadline.

    Register        refused, or: Registered, then the complete set of the node's tasks as soon as this leadership is
                    confirmed, then changes as the store makes them; the node is Ready
    Beat            answered by a Beat
    StatusReport    to `reports`; acknowledged once it is in the store
    SessionEnded,   the node is dialled: if that is refused it is Down at once (`health`)
    broken

A later session of a node takes the place of the earlier one. Messages of a session that is not known (an old one, or one
of an earlier leader) are answered by SessionEnded, and the agent opens a new one.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from swarmtui.manager.health import Health
from swarmtui.manager.leadership import SessionBroken, SessionKey
from swarmtui.manager.reconciler import Moment, Narration, cluster_of
from swarmtui.manager.reports import Reports
from swarmtui.manager.sessions import RegistrationLimit, Session, manager_address
from swarmtui.manager.tasks import is_runnable
from swarmtui.objects.dispatch import (
    Beat,
    DispatchMessage,
    Register,
    Registered,
    ReportReceived,
    SessionEnded,
    StatusReport,
)
from swarmtui.objects.records import Node, Record, Task
from swarmtui.objects.states import TaskState
from swarmtui.store import Change, Store

STOPPING = "stopping"
"""How the reason of an agent's SessionEnded begins when its node is being stopped in good order."""


@attrs.frozen
class Send:
    key: SessionKey
    message: DispatchMessage


@attrs.frozen
class Confirm:
    """Have this leadership confirmed by its quorum, then call `confirmed(keys)`."""

    keys: tuple[SessionKey, ...]


@attrs.frozen
class Probe:
    """Dial, then call `probed`."""

    node_id: str
    address: str


Effect = Send | Confirm | Probe


class Dispatcher:
    """Owns `health` and `reports`, which decide about nodes and tasks; itself it only talks."""

    tables = frozenset({Task.TABLE, Node.TABLE})

    def __init__(self, store: Store, term: int, health: Health, reports: Reports) -> None:
        self._store = store
        self._term = term
        self._health = health
        self._reports = reports
        self._sessions: dict[str, Session] = {}
        self._limit = RegistrationLimit()
        self._effects: list[Effect] = []
        self._unconfirmed: list[SessionKey] = []
        self._stirred: dict[str, None] = {}  # nodes whose session may have orders to be sent
        self.says: list[Narration] = []

    # ---- feed

    def feed(self, key: SessionKey, message: DispatchMessage | SessionBroken, moment: Moment) -> bool:
        """Returns whether the reconcilers may have something to do now; a heartbeat concerns only `drain`."""
        if isinstance(message, Register):
            self._register(key, message, moment)
            return True
        session = self._sessions.get(key.node_id)
        if session is None or session.key != key:
            if isinstance(message, Beat | StatusReport):
                self._send(key, SessionEnded(message.session, "this leader does not know the session"))
            return False
        self._health.silence.heard(key.node_id, moment.now)
        match message:
            case Beat():
                self._send(key, Beat(key.session))
                return False
            case StatusReport():
                self._note_stopping(session, message)
                self._reports.take_in(key, message)
            case SessionEnded(reason=reason):
                self._end(session, f"the agent ended it: {reason}", moment)
                if reason.startswith(STOPPING):
                    self._health.stopping(key.node_id)
            case SessionBroken(reason=reason):
                self._end(session, reason or "its connection broke", moment)
            case _:
                return False
        return True

    def confirmed(self, keys: Iterable[SessionKey]) -> None:
        """A quorum confirmed this leadership after these sessions were opened."""
        for key in keys:
            session = self._sessions.get(key.node_id)
            if session is not None and session.key == key:
                session.confirmed = True
                self._stirred[key.node_id] = None

    def notice(self, change: Change) -> None:
        """A task changed: its node may have to be told. A node was removed: its session is over. A manager came, went or
        moved: everybody is told."""
        if isinstance(change.before, Node) and change.after is None:
            self._dismiss(change.before.id, "the node was removed from the cluster")
            return
        if isinstance(change.after, Node):
            if _door(change.before) != _door(change.after):
                for node_id, told in self._sessions.items():
                    told.managers_due = True
                    self._stirred[node_id] = None
            return
        before = change.before if isinstance(change.before, Task) else None
        after = change.after if isinstance(change.after, Task) else None
        for task in (before, after):
            if task is not None and (session := self._sessions.get(task.node_id)) is not None:
                session.note(before, after)
                self._stirred[task.node_id] = None
                return

    def look_at_everything(self) -> None:
        """Changes were lost: every session gets its complete set again."""
        for node_id, session in self._sessions.items():
            session.complete_due = True
            self._stirred[node_id] = None

    # ---- drain

    def drain(self, moment: Moment) -> list[Effect]:
        """What is to be done: messages, confirmations, dials."""
        for node_id in self._health.dismissed:
            self._dismiss(node_id, "nothing was heard of the node for too long")
        self._health.dismissed.clear()
        for node_id in self._stirred:
            session = self._sessions.get(node_id)
            orders = None if session is None else session.orders(self._store, self._term)
            if session is not None and orders is not None:
                self._send(session.key, orders)
        self._stirred.clear()
        for key, serial in self._reports.received:
            self._send(key, ReportReceived(key.session, serial))
        self._reports.received.clear()
        if self._unconfirmed:
            self._effects.append(Confirm(tuple(self._unconfirmed)))
            self._unconfirmed.clear()
        self._effects += [Probe(node_id, address) for node_id, address in self._health.probes(moment.now)]
        effects, self._effects = self._effects, []
        return effects

    # ---- inside

    def _send(self, key: SessionKey, message: DispatchMessage) -> None:
        self._effects.append(Send(key, message))

    def _register(self, key: SessionKey, message: Register, moment: Moment) -> None:
        node = self._store.get(Node, message.node_id)
        refusal = ""
        if message.node_id != key.node_id or message.session != key.session:
            refusal = "a node can register under its own id only"
        elif node is None:
            refusal = "this cluster has no such node"
        elif not self._limit.allows(key.node_id, moment.now):
            refusal = "too many registrations of this node, try again later"
        if refusal:
            self._send(key, SessionEnded(message.session, refusal))
            text = f"registration of {node.name if node is not None else key.node_id} refused: {refusal}"
            self.says.append(Narration("refused", text, key.node_id, {"via": key.via}))
            return
        earlier = self._sessions.get(key.node_id)
        if earlier is not None and earlier.key != key:
            self._send(earlier.key, SessionEnded(earlier.key.session, "the node opened a newer session"))
        cluster = cluster_of(self._store)
        self._sessions[key.node_id] = Session(key, message, moment.wall)
        self._health.registered(message, moment)
        self._send(key, Registered(key.session, self._term, cluster.agent_heartbeat_s, cluster.node_timeout_s))
        self._unconfirmed.append(key)

    def _end(self, session: Session, reason: str, moment: Moment) -> None:
        del self._sessions[session.key.node_id]
        self._health.broken(session.key.node_id, reason, moment)

    def _dismiss(self, node_id: str, reason: str) -> None:
        session = self._sessions.pop(node_id, None)
        if session is not None:
            self._send(session.key, SessionEnded(session.key.session, reason))

    def _note_stopping(self, session: Session, report: StatusReport) -> None:
        """A task that was shut down though nobody wanted it to stop: its node is being stopped. Not so if that was before
        this session: then the node was stopped while nobody could write it down, and is back."""
        node_id = session.key.node_id
        for task_id, status in report.statuses:
            if status.state is TaskState.SHUTDOWN and status.timestamp >= session.opened_at:
                task = self._store.get(Task, task_id)
                if (
                    task is not None
                    and task.node_id == node_id
                    and is_runnable(task)
                    and task.status.state < status.state
                ):
                    self._health.stopping(node_id)
                    return


def _door(node: Record | None) -> str:
    """Where sessions can be opened through this node; "" if they cannot."""
    return manager_address(node) if isinstance(node, Node) else ""
