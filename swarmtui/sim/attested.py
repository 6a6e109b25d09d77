"""Reads of simulated clients that ask a quorum themselves (`swarmtui.raft.attestation`), each question on its own way.

One member gives the value, the others their word, each when its question arrives and it is awake. Where that is not enough, or
does not come in time, the same member is asked again in the ordinary way, as `swarmtui.client` does. All draws are from a
stream of their own: a run without such reads is what it always was.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from swarmtui.objects.records import KeyValue
from swarmtui.raft.attestation import Attestation, attest, may_serve
from swarmtui.raft.effects import Role
from swarmtui.raft.quorum import majority
from swarmtui.sim.node import SimulatedNode

WAY_S = (0.0005, 0.0005, 0.02)  # means, one way; some take long, so that much happens between two answers
PATIENCE = (0.02, 0.3)  # of the client's own: it shall have time for the ordinary way


@attrs.define(eq=False)
class _Asked:
    """`missing` counts those that have not spoken; `floor` is what had been acknowledged when it was asked. `found` and
    `fall_back` are called once, one of them."""

    floor: int
    missing: int
    found: Callable[[KeyValue | None], None]
    fall_back: Callable[[], None]
    words: list[Attestation] = attrs.field(factory=list)
    record: KeyValue | None = None
    applied: int = 0
    is_over: bool = False


class AttestedReads:
    """Those of one client."""

    def __init__(self, seed: int, client: str, share: float) -> None:
        self.rng = random.Random(f"attested {seed} {client}")
        self.share = share

    def wanted(self) -> bool:
        """Whether the next read shall be one. Nothing is drawn where none is."""
        return self.share > 0 and self.rng.random() < self.share

    def begin(
        self, giver: SimulatedNode, key: str, found: Callable[[KeyValue | None], None], fall_back: Callable[[], None]
    ) -> None:
        """Ask `giver` for the value, and others for their word."""
        cluster = giver.cluster
        nodes = self._asked_with(giver)
        giver = nodes[0]
        asked = _Asked(cluster.observer.acknowledged, len(nodes), found, fall_back)
        together = [node.id for node in nodes]
        for node in nodes:
            cluster.after(self._way(), self._arrive, asked, node, key if node is giver else "", together)
        cluster.after(cluster.parameters.client_patience_s * self.rng.uniform(*PATIENCE), self._give_up, asked)

    def _asked_with(self, giver: SimulatedNode) -> list[SimulatedNode]:
        """This one and enough for a majority, or all, or too few; who leads is among them, or rather who still thinks so. Where
        nobody else is asked it gives the value itself: that is what a leader that names itself a quorum would do harm with."""
        nodes = list(giver.cluster.nodes.values())
        others = [node for node in nodes if node is not giver]
        self.rng.shuffle(others)
        leading = [node for node in nodes if node.core is not None and node.core.role.kind is Role.LEADER]
        oldest = min(leading, key=lambda node: node.core.term if node.core else 0, default=None)
        others.sort(key=lambda node: node is not oldest)
        enough = majority(giver.cluster.parameters.nodes) - 1
        count = self.rng.choice([enough, enough, len(others), max(0, enough - 1)])
        return [giver, *others[:count]] if count or oldest is None else [oldest]

    def _way(self) -> float:
        return self.rng.expovariate(1.0) * self.rng.choice(WAY_S)

    def _arrive(self, asked: _Asked, node: SimulatedNode, key: str, together: list[str]) -> None:
        if node.core is None:
            node.cluster.after(self._way(), self._give_up, asked)
        else:
            node.when_awake(lambda: self._speak(asked, node, key, together))

    def _speak(self, asked: _Asked, node: SimulatedNode, key: str, together: list[str]) -> None:
        """The value, where one is asked for, and the word in one step."""
        if node.core is not None:
            word = attest(node.core, together)
            record = node.machine.read(key) if key else None
            applied = node.machine.index if key else 0
            node.cluster.after(self._way(), self._hear, asked, node, word, record, applied)

    def _hear(
        self, asked: _Asked, node: SimulatedNode, word: Attestation, record: KeyValue | None, applied: int
    ) -> None:
        if asked.is_over:
            return
        asked.words.append(word)
        asked.missing -= 1
        if applied:
            asked.record, asked.applied = record, applied
        if asked.missing:
            return
        if not may_serve(asked.applied, asked.words):
            node.cluster.counts["attested reads not served"] += 1
            self._give_up(asked)
            return
        asked.is_over = True
        node.cluster.counts["attested reads"] += 1
        node.cluster.observer.reads_attested(asked.floor, asked.applied)
        asked.found(asked.record)

    @staticmethod
    def _give_up(asked: _Asked) -> None:
        if not asked.is_over:
            asked.is_over = True
            asked.fall_back()
