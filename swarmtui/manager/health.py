"""What the leader believes of every node, and why: the pure half of the dispatcher that judges.

Two kinds of evidence that a node is gone, never mixed up:

    death     its session ended, and a dial to its address is refused       Down at once (unless the profile says no)
    silence   nothing was heard of it for `node_timeout`                    Down then; Unknown is all that can be said before

A new leader knows no session yet: it dials every node that is Ready in the store and has not registered, and counts silence
from the change of leader, twice as long. A node without a session for `UNKNOWN_AFTER_S` is Unknown meanwhile, so that nothing
new is placed there. Nothing is judged while the cluster is being shut down.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs

from swarmtui.manager.reconciler import Decision, Moment, Reconciler, cluster_of
from swarmtui.manager.shutdown import is_shutting_down
from swarmtui.manager.silence import SilenceClock
from swarmtui.objects.dispatch import Register
from swarmtui.objects.operations import Update
from swarmtui.objects.records import Cluster, Node, NodeStatus
from swarmtui.objects.states import NodeState
from swarmtui.store import Change, Store

UNKNOWN_AFTER_S = 1.5
NEW_LEADER_PATIENCE = 2  # times node_timeout
PROBE_FIRST_S = 0.01
PROBE_MAX_S = 0.5


@attrs.define(eq=False)
class _Missing:
    """A node without a session since `since`."""

    since: float
    reason: str  # how its session ended, "" where this leader knew none
    trusted_from: float  # a refused dial before is no evidence
    probe_at: float | None  # None: not dialled
    pause_s: float = PROBE_FIRST_S
    probing: bool = False


class Health(Reconciler):
    """One key a node. What is believed: READY with a session, else the verdict, else what the store says."""

    name: ClassVar[str] = "health"
    tables: ClassVar[frozenset[str]] = frozenset({Node.TABLE, Cluster.TABLE})

    def __init__(self, store: Store, moment: Moment, *, trust_refusals_from: float = 0.0) -> None:
        super().__init__(store, lambda: "")
        self.silence = SilenceClock()
        self.dismissed: list[str] = []
        """Nodes that were silent for too long: whoever holds their sessions takes these and ends them."""
        self._registered: dict[str, Register] = {}
        self._missing: dict[str, _Missing] = {}
        self._verdicts: dict[str, tuple[NodeState, str]] = {}
        self._trust_refusals_from = max(trust_refusals_from, moment.now)

    # ---- what is heard

    def registered(self, register: Register, moment: Moment) -> None:
        """The node opened a session."""
        node_id = register.node_id
        self._registered[node_id] = register
        self._missing.pop(node_id, None)
        self._verdicts.pop(node_id, None)
        self.silence.listen(node_id, moment.now, cluster_of(self.store).node_timeout_s)
        self.mark([node_id])

    def broken(self, node_id: str, reason: str, moment: Moment) -> None:
        """The node's session ended. Silence goes on counting from when it was last heard; a dial tells more."""
        if self._registered.pop(node_id, None) is None:
            return
        self._missing[node_id] = _Missing(moment.now, reason, trusted_from=moment.now, probe_at=moment.now)
        self.look_again_at(node_id, moment.now + UNKNOWN_AFTER_S)

    def stopping(self, node_id: str) -> None:
        """The node shuts its tasks down without having been told to: it is being stopped, place nothing there."""
        node = self.store.get(Node, node_id)
        if node is not None and node.status.state is NodeState.READY and not is_shutting_down(self.store):
            self._verdicts[node_id] = (NodeState.DISCONNECTED, "it is being stopped")
            self.mark([node_id])

    def probed(self, node_id: str, refused: bool, moment: Moment) -> None:
        """The outcome of a dial that `probes` asked for."""
        missing = self._missing.get(node_id)
        if missing is None:
            return
        missing.probing = False
        if refused and moment.now >= missing.trusted_from and self._may_judge():
            why = f"its session ended ({missing.reason}) and" if missing.reason else "it has no session and"
            self._judge(node_id, NodeState.DOWN, f"{why} a dial to it is refused")
            return
        missing.probe_at = max(moment.now + missing.pause_s, missing.trusted_from if refused else moment.now)
        missing.pause_s = min(missing.pause_s * 2, PROBE_MAX_S)

    def _may_judge(self) -> bool:
        cluster = cluster_of(self.store)
        return cluster.death_is_down and not cluster.shutting_down

    def _judge(self, node_id: str, state: NodeState, why: str) -> None:
        self._verdicts[node_id] = (state, why)
        if state is NodeState.DOWN:
            self._missing.pop(node_id, None)
            self._registered.pop(node_id, None)
            self.silence.forget(node_id)
        self.mark([node_id])

    def gap(self, now: float) -> None:
        """This node slept: everybody's silence begins anew."""
        self.silence.gap(now)
        for missing in self._missing.values():
            missing.since = now

    # ---- what is to be done

    def probes(self, now: float) -> list[tuple[str, str]]:
        """The nodes to dial now, with their addresses. Each is answered by `probed`."""
        due: list[tuple[str, str]] = []
        if not self._may_judge():
            return due
        for node_id, missing in self._missing.items():
            node = self.store.get(Node, node_id)
            if missing.probing or missing.probe_at is None or missing.probe_at > now:
                continue
            if node is None or not node.status.address:
                missing.probe_at = None
                continue
            missing.probing = True
            due.append((node_id, node.status.address))
        return due

    def step(self, moment: Moment) -> list[Decision]:
        self._judge_silence(moment)
        return super().step(moment)

    def _judge_silence(self, moment: Moment) -> None:
        if is_shutting_down(self.store):
            if self.silence.deadline is not None and self.silence.deadline <= moment.now:
                self.silence.gap(moment.now)
            return
        for node_id, silent_s in self.silence.expired(moment.now):
            self._judge(node_id, NodeState.DOWN, f"silent for {silent_s:.1f} s")
            self.dismissed.append(node_id)

    @property
    def deadline(self) -> float | None:
        own = super().deadline
        probes = (
            [
                missing.probe_at
                for missing in self._missing.values()
                if missing.probe_at is not None and not missing.probing
            ]
            if self._may_judge()
            else []
        )
        times = [when for when in (own, self.silence.deadline, *probes) if when is not None]
        return min(times, default=None)

    def notice(self, change: Change, moment: Moment) -> None:
        match change.after or change.before:
            case Node() as node if change.after is None:
                self._missing.pop(node.id, None)
                self._registered.pop(node.id, None)
                self._verdicts.pop(node.id, None)
                self.silence.forget(node.id)
            case Node() as node if change.before is None and node.id not in self._registered:
                self._await([node], moment)
            case Cluster():
                timeout_s = cluster_of(self.store).node_timeout_s
                for node_id in self._registered:
                    self.silence.listen(node_id, moment.now, timeout_s)

    def look_at_everything(self, moment: Moment) -> None:
        nodes = self.store.all(Node)
        self._await([node for node in nodes if not self._is_known(node.id)], moment)
        self.mark(node.id for node in nodes)

    def _is_known(self, node_id: str) -> bool:
        return node_id in self._registered or node_id in self._missing or node_id in self._verdicts

    def _await(self, nodes: Iterable[Node], moment: Moment) -> None:
        """Nodes this leader has not heard of yet: listened for twice as long, and dialled if they were Ready."""
        allowance_s = NEW_LEADER_PATIENCE * cluster_of(self.store).node_timeout_s
        for node in nodes:
            if node.status.state is NodeState.DOWN:
                continue
            self.silence.listen(node.id, moment.now, allowance_s)
            was_there = node.status.state is not NodeState.UNKNOWN
            trusted_from = self._trust_refusals_from
            self._missing[node.id] = _Missing(moment.now, "", trusted_from, moment.now if was_there else None)
            if was_there:
                self.look_again_at(node.id, moment.now + UNKNOWN_AFTER_S)

    def decide(self, key: str, moment: Moment) -> Decision | None:
        node = self.store.get(Node, key)
        if node is None:
            self._verdicts.pop(key, None)
            return None
        verdict = self._verdicts.get(key)
        register = self._registered.get(key)
        if verdict is not None:
            state, why = verdict
            status = NodeStatus(state, why, node.status.address)
            if node.status.state is state:
                return None
            return self._write(attrs.evolve(node, status=status), node)
        if register is not None:
            return self._decide_ready(node, register)
        return self._decide_unknown(node, moment)

    def _decide_ready(self, node: Node, register: Register) -> Decision | None:
        status = NodeStatus(NodeState.READY, "", register.address or node.status.address)
        if (node.status.state, node.status.address) == (status.state, status.address):
            status = node.status
        ready = attrs.evolve(node, status=status, description=register.description)
        return None if ready == node else self._write(ready, node)

    def _decide_unknown(self, node: Node, moment: Moment) -> Decision | None:
        missing = self._missing.get(node.id)
        if missing is None or node.status.state is not NodeState.READY or is_shutting_down(self.store):
            return None
        unknown_at = missing.since + UNKNOWN_AFTER_S
        if moment.now < unknown_at:
            self.look_again_at(node.id, unknown_at)
            return None
        why = f"its session ended: {missing.reason}" if missing.reason else "not heard of since the leader changed"
        status = NodeStatus(NodeState.UNKNOWN, why, node.status.address)
        return self._write(attrs.evolve(node, status=status), node)

    def _write(self, record: Node, node: Node) -> Decision:
        """The node's status says why; the event is made of the change itself, by whoever chronicles the store."""
        return Decision((node.id,), (Update(record, version=node.version),))
