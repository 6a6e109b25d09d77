"""The cluster judged at one moment: who lives, who leads, who is parted from whom, and may it write.

Made anew whenever it is asked for, from what is known of the nodes and of the links; each answer is worked out once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from swarmtui.console.model import faults, quorum
from swarmtui.console.model.node_book import NodeKnowledge
from swarmtui.console.model.picture import Leadership, Sight
from swarmtui.console.model.quorum import Loss, Quorum
from swarmtui.console.model.services import ServiceRow, TaskRow
from swarmtui.console.model.standing import Standing
from swarmtui.objects.membership import majority
from swarmtui.objects.states import NodeState
from swarmtui.wire.node_calls import LinkFault

VERSION_WORDS = ("this version speaks", "this version reads")  # as the wire says it


class Situation:
    """`nodes` by name; `voters` are names; `links` by node id, as the host tells them."""

    def __init__(
        self,
        nodes: Mapping[str, NodeKnowledge],
        names: Mapping[str, str],
        voters: Sequence[str],
        links: Mapping[str, tuple[LinkFault, ...]],
        now: float,
    ) -> None:
        self.nodes = nodes
        self.names = names
        self.voters = voters
        self.links = links
        self.now = now

    @cached_property
    def bare(self) -> Mapping[str, Standing]:
        """What each node is by its own account and the evidence about it alone."""
        return {name: node.standing(self.now, 0) for name, node in self.nodes.items()}

    @cached_property
    def standings(self) -> Mapping[str, Standing]:
        """What each node is, seen together: a leader is doubted while another leads a later term with a quorum."""
        newest = self.leader.term if self.leader is not None else 0
        return {name: node.standing(self.now, newest) for name, node in self.nodes.items()}

    @cached_property
    def dead(self) -> frozenset[str]:
        """Nodes on whose death there is evidence."""
        return frozenset(name for name, standing in self.bare.items() if standing.is_dead)

    @property
    def died(self) -> Mapping[str, float]:
        """When each of the dead died, 0 where nobody knows."""
        return {name: self.nodes[name].stands_since(self.bare[name]) or 0.0 for name in self.dead}

    @property
    def unheard(self) -> frozenset[str]:
        """Nodes that the managers count as down though nothing tells of a death: paused or cut off, their tasks may go on."""
        return frozenset(
            name for name, node in self.nodes.items() if node.stored is NodeState.DOWN and name not in self.dead
        )

    @cached_property
    def answering(self) -> frozenset[str]:
        return frozenset(name for name, standing in self.bare.items() if standing.answers)

    @cached_property
    def gone(self) -> frozenset[str]:
        """Nodes that take part in nothing now: dead or paused."""
        paused = {name for name, standing in self.bare.items() if standing is Standing.PAUSED}
        return self.dead | paused

    @cached_property
    def leader(self) -> NodeKnowledge | None:
        """The living leader of the newest term that hears a quorum."""
        leaders = [
            node
            for name, node in self.nodes.items()
            if name in self.answering
            and node.mark is not None
            and node.mark.raft_role == "leader"
            and node.mark.holds_quorum
        ]
        return max(leaders, key=lambda node: node.term, default=None)

    @cached_property
    def leadership(self) -> Leadership:
        leader = self.leader
        claims = tuple(
            (name, node.term)
            for name, node in self.nodes.items()
            if node is not leader
            and node.mark is not None
            and node.mark.raft_role == "leader"
            and name in self.answering
        )
        if leader is None:
            return Leadership(term=max((node.term for node in self.nodes.values()), default=0), claims=claims)
        return Leadership(leader.name, leader.term, leader.leader_since, claims)

    @cached_property
    def quorum(self) -> Quorum:
        """The leader's own hearing, less those that are known to be gone by now."""
        leader = self.leader
        if leader is not None and leader.mark is not None:
            heard = {self.names.get(node_id, node_id) for node_id in leader.mark.heard} | {leader.name}
            up = len([name for name in self.voters if name in heard and name not in self.gone])
            return Quorum(len(self.voters), up, held=up >= majority(len(self.voters)))
        answering = [name for name in self.voters if name in self.answering]
        side = quorum.largest_side(answering, self.cut_pairs)
        return Quorum(len(self.voters), side, held=False, known=bool(answering))

    @cached_property
    def cut_pairs(self) -> frozenset[frozenset[str]]:
        by_id = faults.cut_pairs(self.links, self.now)
        return frozenset(frozenset(self.names.get(node_id, node_id) for node_id in pair) for pair in by_id)

    @cached_property
    def far_side(self) -> frozenset[str]:
        """The nodes that link faults part from the leader or, with no leader, from the largest side."""
        if not self.cut_pairs:
            return frozenset()
        if self.leader is not None:
            centre = self.leader.name
        else:
            managers = [name for name, node in self.nodes.items() if node.is_manager]
            centre = max(managers or list(self.nodes), key=lambda name: len(self._reach(name)))
        return frozenset(name for name in self.nodes if frozenset((name, centre)) in self.cut_pairs)

    @property
    def smaller_side(self) -> tuple[str, ...]:
        """Those who can reach the fewest: who was cut off, in the order of the cluster."""
        return min((self._reach(name) for name in self.nodes), key=len, default=())

    def _reach(self, name: str) -> tuple[str, ...]:
        return tuple(other for other in self.nodes if frozenset((name, other)) not in self.cut_pairs)

    @cached_property
    def sight(self) -> tuple[Sight, float | None, str]:
        """Live while any node answers; connecting until the first has; else stale since the last was heard."""
        heard = [node.heard_at for node in self.nodes.values() if node.heard_at is not None]
        reasons = [node.link_reason for node in self.nodes.values() if node.link_reason]
        if self.answering:
            return Sight.LIVE, None, ""
        if mismatch := [reason for reason in reasons if any(words in reason for words in VERSION_WORDS)]:
            return Sight.MISMATCH, None, mismatch[0]
        if not heard:
            return Sight.CONNECTING, None, reasons[0] if reasons else ""
        return Sight.STALE, max(heard), reasons[0] if reasons else ""

    def loss(
        self,
        services: Sequence[ServiceRow],
        tasks: Sequence[TaskRow],
        *,
        gone: Iterable[str] = (),
        sides: Iterable[Iterable[str]] = (),
        ended: Iterable[str] = (),
    ) -> Loss:
        """What it would cost if these nodes went away, or all were parted into these sides, or these tasks (ids) ended."""
        lost_nodes, lost_tasks = set(gone), set(ended)
        standing = set(self.voters) - self.gone
        after = quorum.quorum_without(self.quorum, len(lost_nodes & standing))
        groups = faults.sides_of(sides, self.nodes)
        if groups:
            after = quorum.quorum_of_sides(self.quorum, [len(standing.intersection(group)) for group in groups])
        last = []
        for service in services:
            running = [task for task in tasks if task.service == service.name and task.is_running]
            left = [task for task in running if task.node not in lost_nodes and task.id not in lost_tasks]
            if (
                running and not left and service.mode == "replicated"
            ):  # a global service wants no task on a node that is gone
                last.append(f"{service.name}: {len(running)} of {service.wanted} running becomes 0")
        return Loss(self.quorum, after, tuple(last))
