"""The fold itself: observations in, pictures out.

`Model` holds what was heard and judges nothing until a picture is asked for, but for two things that cannot wait: lanes
(they are history) and incidents (their figures are taken from the observation that carries them).
"""

from __future__ import annotations

from collections.abc import Iterable

from swarmtui.console.model import faults, incident, services
from swarmtui.console.model.event_book import EventBook
from swarmtui.console.model.incident import Incident
from swarmtui.console.model.log_book import LogBook
from swarmtui.console.model.node_book import NodeKnowledge
from swarmtui.console.model.observations import (
    EventSeen,
    HostSeen,
    LogSeen,
    MarkSeen,
    NodeLinked,
    NodeLost,
    NodesSeen,
    Observation,
    OutputSeen,
    RecordsSeen,
)
from swarmtui.console.model.output_book import OutputBook
from swarmtui.console.model.picture import Banner, NodeRow, Picture
from swarmtui.console.model.quorum import Loss
from swarmtui.console.model.recovery import Recovery
from swarmtui.console.model.reigns import Reigns
from swarmtui.console.model.services import ServiceRow, TaskRow
from swarmtui.console.model.situation import Situation
from swarmtui.console.model.standing import STANDING_OF_RAFT_ROLE, Standing
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.records import Node, Record, Service, Task
from swarmtui.wire.host_calls import FaultReport, HostReport, Power
from swarmtui.wire.node_calls import Mark, RecordsChanged

QUIET_S = 1.5  # a mark after this long may end a silence
PATHS_MAX = 5000  # tasks whose path of states is remembered


class Model:
    """What the console knows of one cluster."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.nodes: dict[str, NodeKnowledge] = {}
        self.names: dict[str, str] = {}  # by id, also of nodes that are gone: their tasks are told of for a while
        self._meet(manifest.nodes)
        self.log = LogBook()
        self.events = EventBook()
        self.output = OutputBook()
        self.reigns = Reigns()
        self.incident: Incident | Recovery | None = None
        self.host: HostReport | None = None
        self.host_reason = ""
        self.gone = ""
        self._tables: dict[str, dict[str, Record]] = {"node": {}, "service": {}, "task": {}, "cluster": {}}
        self._paths: dict[str, str] = {}
        self._rows_cache: tuple[tuple[TaskRow, ...], tuple[ServiceRow, ...]] | None = None
        self._dead_cached: frozenset[str] = frozenset()
        self._known_faults: dict[int, FaultReport] = {}
        self._ended: set[str] = set()
        self._voters: tuple[str, ...] = tuple(node.name for node in manifest.managers)

    # ------------------------------------------------------------------------------------------------------- fold

    def fold(self, observation: Observation, now: float) -> None:
        """Take in one observation that arrived at `now`."""
        match observation:
            case MarkSeen(node, mark):
                if (known := self._node(node)) is not None:
                    before, quiet_for = known.mark, now - known.mark_at
                    known.marked(mark, now)
                    if self.incident is not None:
                        self.incident.answered(known.name, mark.time)
                    if known.is_manager:
                        self.log.mark(
                            known.name,
                            first=mark.first,
                            last=mark.last,
                            commit=mark.commit,
                            truncated_from=mark.truncated_from,
                        )
                    if before is None or quiet_for > QUIET_S or _standing_may_differ(before, mark):
                        self._note_lane(known, now)
                    self._after_mark(known, mark.time)
            case EventSeen(event):
                self.events.add(event, now)
                self._after_event(event)
            case RecordsSeen(_, change):
                self._records(change, now)
            case NodeLinked(node, report):
                if (known := self._node(node)) is not None:
                    known.linked(report, now)
                    if known.is_manager:
                        self.log.mark(known.name, first=report.first, last=report.last, commit=report.commit)
                    self._note_lane(known, now)
                    if not known.is_manager:  # a manager's events tell more of its past
                        known.lane.recall(report.started_at, Standing.WORKER, 0)
                    self._after_mark(known, now)
            case NodeLost(node, reason, refused):
                if (known := self._node(node)) is not None:
                    was_known_dead = known.standing(now, 0).is_dead
                    known.lost(reason, refused, now)
                    self._note_lane(known, now)
                    if refused and not was_known_dead and self.host is None and known.heard_at is not None:
                        self.open_incident(now, "ended", (known.name,), True, now)  # with no host to tell us why
            case NodesSeen(nodes):
                self._meet(nodes)
            case HostSeen(report, reason, final):
                self.gone = reason if final else ""
                self._host(report, reason, now)
            case LogSeen(node, lines):
                self.log.answer(node, lines)
            case OutputSeen(_, lines):
                self.output.add(lines)

    def _meet(self, nodes: Iterable[NodeEntry]) -> None:
        """These are the nodes. A new one under an old name is another node; what is known of the others stays."""
        known = {node.id: node for node in self.nodes.values()}
        self.nodes.clear()
        for entry in nodes:
            node = known.get(entry.id) or NodeKnowledge(
                id=entry.id, name=entry.name, role=entry.role, address=entry.address, availability=entry.availability
            )
            node.role, node.address = entry.role, entry.address
            self.nodes[entry.name] = node
            self.names[entry.id] = entry.name

    def _node(self, name: str) -> NodeKnowledge | None:
        return self.nodes.get(name) or self.nodes.get(self.names.get(name, ""))

    def _after_mark(self, node: NodeKnowledge, moment: float) -> None:
        mark = node.mark
        assert mark is not None
        if node.voters:
            self._voters = tuple(name for _, name in node.voters)
        if mark.raft_role == "leader":
            self.reigns.led(node.name, mark.term, node.leader_since or moment)
            if mark.holds_quorum:
                self.reigns.wrote(mark.term, moment, mark.commit)
        self.reigns.committed(mark.commit)

    def _note_lane(self, node: NodeKnowledge, now: float) -> None:
        node.lane.note(now, self.situation(now).standings[node.name], node.term)

    def _after_event(self, event: Event) -> None:
        standing = STANDING_OF_RAFT_ROLE.get(str(event.data.get("role"))) if event.kind == "election" else None
        if standing is not None and (known := self._node(event.node)) is not None:
            known.lane.recall(event.time, standing, event.term)
        if standing is Standing.LEADER:
            self.reigns.led(event.node, event.term, event.time)
        elif event.kind == "raft" and event.data.get("milestone") == "leading":
            self.reigns.wrote(event.term, event.time)

    def _records(self, change: RecordsChanged, now: float) -> None:
        if change.reset:
            for table in self._tables.values():
                table.clear()
        for record in change.records:
            if record.TABLE not in self._tables:
                continue
            self._tables[record.TABLE][record.id] = record
            if isinstance(record, Task):
                self._walked(record)
            elif isinstance(record, Node) and (known := self.nodes.get(self.names.get(record.id, ""))) is not None:
                known.availability, known.stored = record.spec.availability, record.status.state
        for table_name, record_id in change.removed:
            self._tables.get(table_name, {}).pop(record_id, None)
        self._rows_cache = None
        if self.incident is not None:
            situation = self.situation(now)
            self.incident.runs(self._rows(situation)[0], situation.dead)

    def _walked(self, task: Task) -> None:
        letter = services.path_letter(task.status.state)
        path = self._paths.get(task.id, "")
        if not path.endswith(letter):
            self._paths[task.id] = path + letter
            if len(self._paths) > PATHS_MAX:
                del self._paths[next(iter(self._paths))]

    def _host(self, report: HostReport | None, reason: str, now: float) -> None:
        before = self.host
        self.host, self.host_reason = report, reason
        if report is None:
            return
        for power in report.nodes:
            if (known := self._node(power.name)) is not None:
                known.powered(power, now)
                self._note_lane(known, now)
                standing = known.standing(now, 0)
                if power.since and not standing.answers:
                    known.lane.recall(power.since, standing, known.term)
        self._faults(report, before is None, now)
        self._endings(report, before is None, now)

    def _faults(self, report: HostReport, first: bool, now: float) -> None:
        """Faults that are new open an incident, unless the console has just come and finds them standing."""
        current = {fault.id: fault for fault in report.faults}
        new = [fault for fault_id, fault in current.items() if fault_id not in self._known_faults]
        ended = [fault for fault_id, fault in self._known_faults.items() if fault_id not in current]
        self._known_faults = current
        if ended and not new and not first:
            self._recover(ended, report, now)
        for fault in sorted(new, key=lambda fault: fault.id):
            if not first or now - fault.since < 1.0:
                verb, loses_tasks = incident.VERBS.get(fault.kind, (fault.kind, False))
                hit = self.situation(now).smaller_side if fault.kind == "partition" else fault.nodes
                subject = f"link {' '.join(fault.nodes)}" if fault.kind in ("cut", "link") else ""
                self.open_incident(fault.since, verb, hit or fault.nodes, loses_tasks, now, subject)

    def _recover(self, ended: list[FaultReport], report: HostReport, now: float) -> None:
        """Faults were healed: by a key, by a command, or by their time."""
        powered = [fault for fault in ended if fault.kind in ("kill", "pause", "stop")]
        nodes = tuple(dict.fromkeys(name for fault in powered for name in fault.nodes))
        began = min((power.since for power in report.nodes if power.name in nodes and power.since), default=now)
        subject = " ".join(nodes) if len(powered) == len(ended) else "network" if not nodes else "everything"
        situation = self.situation(now)
        self.incident = Recovery(
            began=max(began, now - 1.0),
            subject=f"{subject} healed",
            nodes=nodes,
            had_leader=situation.leader is not None,
        )

    def _endings(self, report: HostReport, first: bool, now: float) -> None:
        """A node that ended by itself is an incident too; nobody ordered it."""
        ended = {power.name for power in report.nodes if power.power is Power.EXITED}
        fresh = ended - self._ended
        self._ended = ended
        if not first:
            for power in report.nodes:
                if power.name in fresh:
                    self.open_incident(power.since or now, "ended by itself", (power.name,), True, now)

    def open_incident(
        self, began: float, verb: str, nodes: tuple[str, ...], loses_tasks: bool, now: float, subject: str = ""
    ) -> None:
        """Something broke at `began`: from here on figures are measured. Steps close together are one incident."""
        current = self.incident
        situation = self.situation(now)
        tasks = self._rows(situation)[0]
        slots = incident.lost_slots(tasks, nodes) if loses_tasks else {}
        if len(situation.dead) == len(self.nodes):
            subject = "all nodes"  # the last to go is not the story
        if isinstance(current, Incident) and current.verb == verb and abs(began - current.began) < incident.SAME_STEP_S:
            current.nodes = tuple(dict.fromkeys((*current.nodes, *nodes)))
            current.slots.update(slots)
            current.subject = subject
            return
        leading = self.reigns.before(began)
        self.incident = Incident(
            began=began,
            verb=verb,
            nodes=nodes,
            leader_before=leading.name if leading else "",
            slots=slots,
            loses_tasks=loses_tasks,
            subject=subject,
        )

    # ------------------------------------------------------------------------------------------------------ judge

    def situation(self, now: float) -> Situation:
        """The cluster judged as of now."""
        return Situation(self.nodes, self.names, self._voters, self.host.links if self.host is not None else {}, now)

    def loss(
        self,
        now: float,
        *,
        gone: Iterable[str] = (),
        sides: Iterable[Iterable[str]] = (),
        tasks: Iterable[str] = (),
    ) -> Loss:
        """What it would cost if these nodes went away, or were parted into these sides, or these tasks (ids) ended."""
        situation = self.situation(now)
        task_rows, service_rows = self._rows(situation)
        return situation.loss(service_rows, task_rows, gone=gone, sides=sides, ended=tasks)

    def _rows(self, situation: Situation) -> tuple[tuple[TaskRow, ...], tuple[ServiceRow, ...]]:
        if self._rows_cache is None or situation.dead != self._dead_cached:
            stored = sorted(
                (r for r in self._tables["service"].values() if isinstance(r, Service)), key=lambda s: s.name
            )
            letters = services.letters_of(service.name for service in stored)
            marks = {s.id: (letters[s.name], position % services.SERVICE_INKS) for position, s in enumerate(stored)}
            stored_tasks = (r for r in self._tables["task"].values() if isinstance(r, Task))
            tasks = services.task_rows(stored_tasks, marks, self.names, situation.died, situation.unheard, self._paths)
            self._rows_cache = tasks, services.service_rows(stored, tasks, marks)
            self._dead_cached = situation.dead
        return self._rows_cache

    # ---------------------------------------------------------------------------------------------------- picture

    def picture(self, now: float) -> Picture:
        """Everything the panes draw, as of now."""
        situation = self.situation(now)
        for name, node in self.nodes.items():
            node.lane.note(now, situation.standings[name], node.term)
        task_rows, service_rows = self._rows(situation)
        sight, sight_since, sight_reason = situation.sight
        return Picture(
            now=now,
            name=self.manifest.name,
            sight=sight,
            sight_since=sight_since,
            sight_reason=sight_reason,
            quorum=situation.quorum,
            leadership=situation.leadership,
            nodes=tuple(self._node_row(node, task_rows, situation) for node in self._ordered()),
            services=service_rows,
            tasks=task_rows,
            faults=faults.fault_rows(self.host.faults) if self.host is not None else (),
            host_answers=self.host is not None,
            host_reason=self.host_reason,
            gone=self.gone,
            banner=self._banner(task_rows, situation),
            events_seen=self.events.count,
            event_rate=self.events.rate(now),
        )

    def _banner(self, tasks: tuple[TaskRow, ...], situation: Situation) -> Banner | None:
        if self.incident is None:
            return None
        now = situation.now
        self.incident.reigned(self.reigns.since(self.incident.began))
        self.incident.runs(tasks, situation.dead)
        self.incident.close(now)
        if now - self.incident.began > incident.SHOWN_FOR_S:
            return None
        return self.incident.banner(now, situation.quorum, situation.leadership)

    def _ordered(self) -> list[NodeKnowledge]:
        return sorted(self.nodes.values(), key=lambda node: (not node.is_manager, len(node.name), node.name))

    @classmethod
    def _node_row(cls, node: NodeKnowledge, tasks: tuple[TaskRow, ...], situation: Situation) -> NodeRow:
        standing = situation.standings[node.name]
        mark = node.mark
        return NodeRow(
            id=node.id,
            name=node.name,
            is_manager=node.is_manager,
            standing=standing,
            term=node.term,
            commit=mark.commit if mark else 0,
            applied=mark.applied if mark else 0,
            first=mark.first if mark else 0,
            last=mark.last if mark else 0,
            hears=len(mark.heard) if mark else 0,
            timer=node.timer(situation.now) if standing.answers else None,
            availability=node.availability,
            cut_off=node.name in situation.far_side,
            since=node.stands_since(standing),
            reason=cls._why(node, standing),
            address=node.address,
            pid=node.pid,
            tasks=tuple(task for task in tasks if task.node == node.name and (task.unheard or not task.past)),
            lane=node.lane.changes,
        )

    @staticmethod
    def _why(node: NodeKnowledge, standing: Standing) -> str:
        if node.disk:
            return node.disk
        if standing.is_dead and node.power is not None and node.power.text:
            return node.power.text
        return node.link_reason


def _standing_may_differ(before: Mark, after: Mark) -> bool:
    """Whether the node may now be called something else; most marks only say that the log has grown."""
    return before.raft_role != after.raft_role or before.term != after.term or before.holds_quorum != after.holds_quorum
