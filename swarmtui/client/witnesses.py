"""Whom to ask together, so that a read needs no message between managers: one for the value, enough others for their word.

The rule by which their words confirm it is `swarmtui.raft.attestation`; here is who is asked, from what this client knows. The
leader must be among them. Who has no connection yet is dialled meanwhile, once the manager that gives the value has one: a
client that asks a single thing dials nobody for it. Who was of no use rests for a while, and who took a question and says
nothing, as a paused process does, until it has answered: so each trouble costs one delay, and not one with every read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import ClientError
from swarmtui.client.links import Link
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.membership import majority, node_of
from swarmtui.wire.key_calls import Attestation, KeyRows

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

REST_S = 1.0  # for one that lagged, was silent, cannot be dialled, or whose word was of no use
NEVER = float("-inf")


@attrs.define(eq=False)
class Witness:
    """One manager. `owes` counts the questions that it has left unanswered for too long."""

    id: str
    link: Link
    owes: int = 0
    rests_until: float = NEVER
    lags_until: float = NEVER  # until then it gives no values of its own accord
    is_dialled: bool = False

    def rest(self) -> None:
        """It is of no use now."""
        self.rests_until = trio.current_time() + REST_S


@attrs.frozen
class Party:
    """Who is asked together: `ids` are all of them."""

    ids: tuple[str, ...]
    giver: Witness
    others: tuple[Witness, ...]


class Witnesses:
    """The managers of one cluster, by their use for reads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._manifest: Manifest | None = None  # as of which `_known` are
        self._known: dict[str, Witness] = {}  # by name
        self._told = ""  # who led, as the cluster last knew
        self._leader = ""  # the same, or what a manager has said since

    def party(self, manager: str) -> Party | None:
        """Whom to ask with this manager, "": with whoever leads; None: it shall confirm by itself. Costs with every call."""
        known = self._now()
        giver = self._giver(manager)
        missing = majority(len(known)) - 1
        now = trio.current_time()
        if giver is None or not missing or giver.link.live is None or now < giver.lags_until:
            return None
        willing = [one for one in known.values() if one is not giver and not one.owes and now >= one.rests_until]
        leader = known.get(self._leader)
        if leader is not None and leader is not giver:
            if leader not in willing:
                return None
            willing.sort(key=lambda one: one is not leader)  # it must be among them
        others = [one for one in willing if one.link.live is not None][:missing]
        if len(others) < missing or (leader in willing and leader not in others):
            self._dial_soon([one for one in willing if one.link.live is None][: max(1, missing - len(others))])
            return None
        return Party((giver.id, *[one.id for one in others]), giver, tuple(others))

    def _dial_soon(self, those: list[Witness]) -> None:
        for one in those:
            if not one.is_dialled:
                one.is_dialled = True
                self._cluster.nursery.start_soon(self._dial, one)

    def _now(self) -> dict[str, Witness]:
        """As the manifest is; what is known of each outlives a change of it."""
        cluster = self._cluster
        manifest = cluster.manifest
        if manifest is not self._manifest:
            self._manifest = manifest
            links = [(node.id, cluster.find_link(node.id)) for node in manifest.managers]
            before = {one.link: one for one in self._known.values()}
            self._known = {link.name: before.get(link) or Witness(id, link) for id, link in links if link is not None}
        if cluster.leader != self._told:
            self._told = self._leader = cluster.leader
        return self._known

    def _giver(self, manager: str) -> Witness | None:
        """This one; else who leads; else, while nobody is known to, anybody with a connection."""
        if manager:
            link = self._cluster.find_link(manager)
            return None if link is None else self._known.get(link.name)
        leader = self._known.get(self._leader)
        if leader is not None:
            return leader
        return next((one for one in self._known.values() if one.link.connected), None)

    @staticmethod
    async def _dial(one: Witness) -> None:
        try:
            await one.link.caller()
        except ClientError:
            one.rest()
        finally:
            one.is_dialled = False

    def failed(self, party: Party, rows: KeyRows, words: list[Attestation]) -> None:
        """All have answered, and it was not enough: take note of why."""
        said = [word for word in (rows.attestation, *words) if word is not None]
        if rows.index < max(word.commit for word in said):
            party.giver.lags_until = trio.current_time() + REST_S
            return
        newest = max(said, key=lambda word: word.term)
        leader = next((name for name, one in self._known.items() if one.id == node_of(newest.leader)), "")
        if leader and leader != self._leader:
            self._leader = leader
            return
        for one in party.others:
            one.rest()
