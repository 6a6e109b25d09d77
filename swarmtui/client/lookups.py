"""Reads of single keys, those of one moment together: a thousand tasks that read cost a thousand rows and a few calls.

The usual read is asked of a manager to which there is a connection, and, at the same moment, of others for their word
(`witnesses`): each answers from memory, and here is decided whether that confirms it, two hops after it was asked for. Where
it does not, or nobody is there to be asked, or many keys are read at once, the manager is asked to confirm it by itself, with
two hops more. No task waits for an answer but those who want it. Everything else takes a task of its own; and where nobody
answers, or nobody leads, each key goes its own long way (`_alone`), which asks the others as well.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.batches import Batch
from swarmtui.client.errors import ClientError
from swarmtui.client.links import Link
from swarmtui.client.together import Together
from swarmtui.client.witnesses import Party, Witness, Witnesses
from swarmtui.objects.records import KeyValue
from swarmtui.wire.calls import Answer
from swarmtui.wire.key_calls import KEYS_TOGETHER_MAX, Attest, Attestation, GetKeys, KeyRows
from swarmtui.wire.node_calls import Consistency, GetKey
from swarmtui.wire.rpc import CallFailed

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

LINEARIZABLE = Consistency.LINEARIZABLE  # to fetch it from its enumeration costs 2 % of a read
PATIENCE_S = 2.0  # with the one manager; the long way has its own
WORD_PATIENCE_S = 0.03  # with the others' words, which cost each of them a fraction of a millisecond
KEYS_EARLY = 50  # leave at once while no call is under way: the manager's work begins before all have asked
KEYS_SOON = 256  # while fewer are under way: some hundred tasks have one call answered while another is asked
KEYS_VOUCHED_MAX = 128  # in one call: with more this process is busy, and the manager had better confirm them


@attrs.define(eq=False)
class _Asked:
    """One call that is under way and for whose answer no task waits. An object, not two functions that know each other:
    those would be a cycle, left to the garbage collector with every read."""

    lookups: Lookups
    together: Together[Batch]
    batch: Batch
    count: int  # of keys
    overdue_at: float
    manager: str
    party: Party | None = None  # None: the manager confirms it
    silent: set[Witness] = attrs.field(factory=set)  # who has not given its word yet
    words: list[Attestation] = attrs.field(factory=list)
    rows: KeyRows | None = None
    words_overdue_at: float = 0.0
    words_are_overdue: bool = False

    def heard(self, answer: Answer | CallFailed | None) -> None:
        self.lookups.heard(self, answer)


@attrs.frozen(eq=False)
class _Word:
    """What one of the others shall say of it."""

    asked: _Asked
    witness: Witness

    def heard(self, answer: Answer | CallFailed) -> None:
        self.asked.lookups.spoken(self.asked, self.witness, answer)


class Lookups:
    """The reading side of one `Cluster`, for keys."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._together: dict[str, Together[Batch]] = {}  # by the manager to ask, "": whoever is nearest
        self._asked: dict[_Asked, None] = {}  # the oldest first
        self._looking = False
        self._witnesses = Witnesses(cluster)
        self._unvouched: dict[_Asked, None] = {}  # whose words are not overdue yet; the oldest first
        self._listening = False

    async def get(self, key: str, *, consistency: Consistency = LINEARIZABLE, manager: str = "") -> KeyValue | None:
        """The key's record, None if there is none. `manager`: who is asked first, otherwise whoever led last; any manager
        answers, led or leading. Raises NoQuorum unless a stale read is asked for, and Refused for a manager that there
        never was."""
        if consistency is not LINEARIZABLE:
            return await self._alone(key, consistency)
        together = self._together.get(manager) or self._new(manager)
        batch = together.gathering
        if batch is None:
            batch = Batch()
            place = batch.join(key)
            await together.lead(batch)
        else:
            place = batch.join(key)
            if place + 1 >= together.full:
                together.leave()
        if place >= batch.told:
            await batch.wait(place)
        return batch.values[place] if place < len(batch.values) else await self._alone(key)

    async def _alone(self, key: str, consistency: Consistency = LINEARIZABLE) -> KeyValue | None:
        """What there is, from any manager that answers. Raises NoQuorum unless a stale read is asked for."""
        records = (await self._cluster.read(GetKey(key, consistency))).records
        return next((record for record in records if isinstance(record, KeyValue)), None)

    def _new(self, manager: str) -> Together[Batch]:
        if manager:
            self._cluster.link(manager)
        together = self._together[manager] = Together(partial(self._send_batch, manager), KEYS_EARLY)
        return together

    def _send_batch(self, manager: str, batch: Batch) -> None:
        under_way = sum([asked.count for asked in self._asked])
        party = self._witnesses.party(manager) if under_way + len(batch) <= KEYS_VOUCHED_MAX else None
        if party is None or not self._send_together(manager, party, batch):
            self._send(manager, batch)

    def _send_together(self, manager: str, party: Party, batch: Batch) -> bool:
        """Ask for the rows and for everybody's word. False if it cannot leave."""
        asked = self._new_asked(manager, batch)
        asked.party = party
        asked.silent.update(party.others)
        asked.words_overdue_at = trio.current_time() + WORD_PATIENCE_S
        if not self._leave(asked, party.giver.link, GetKeys(batch.untold, asked=party.ids)):
            return False
        question = Attest(party.ids)
        for witness in party.others:
            caller = witness.link.live
            if caller is None or not caller.ask(question, _Word(asked, witness).heard):
                self._confirm(asked)
                return True
        if asked in self._asked:
            self._unvouched[asked] = None
            if not self._listening:
                self._listening = True
                self._cluster.nursery.start_soon(self._listen)
        return True

    def _send(self, manager: str, batch: Batch) -> None:
        """Ask the one manager, which confirms it. Mostly there is a connection: then the call leaves now, and its answer wakes
        the tasks where it arrives."""
        call = GetKeys(batch.untold)
        link = self._cluster.find_link(manager or self._cluster.leader)
        if link is None or not self._leave(self._new_asked(manager, batch), link, call):
            self._cluster.nursery.start_soon(self._ask, manager, call, batch)

    def _new_asked(self, manager: str, batch: Batch) -> _Asked:
        overdue_at = trio.current_time() + PATIENCE_S
        return _Asked(self, self._together[manager], batch, batch.left, overdue_at, manager)

    def _leave(self, asked: _Asked, link: Link, call: GetKeys) -> bool:
        caller = link.live
        if caller is None:
            return False
        self._asked[asked] = None
        self._fill(asked.together)
        if not caller.ask(call, asked.heard):
            self._forget(asked)  # the connection is full, or has just ended
            return False
        if not self._looking:
            self._looking = True
            self._cluster.nursery.start_soon(self._look_after)
        return True

    async def _ask(self, manager: str, call: GetKeys, batch: Batch) -> None:
        """Where somebody must be dialled first."""
        try:
            name = manager or self._cluster.managers()[0].name
            answer = await self._cluster.ask(name, call, PATIENCE_S)
        except ClientError:
            self._settle(manager, batch, None)
        else:
            self._settle(manager, batch, answer)

    def heard(self, asked: _Asked, answer: Answer | CallFailed | None) -> None:
        """What came of it; None if it was given up. Only the first counts."""
        if asked not in self._asked:
            return
        if type(answer) is KeyRows and answer.attestation is not None and not answer.refused:
            asked.rows = answer
            self._judge(asked)
        else:
            self._end(asked, answer)

    def spoken(self, asked: _Asked, witness: Witness, answer: Answer | CallFailed) -> None:
        """What a witness says, perhaps when nobody waits for it any more."""
        if asked.words_are_overdue and witness in asked.silent:
            witness.owes -= 1
        if asked not in self._asked:
            return
        if type(answer) is Attestation:
            asked.silent.discard(witness)
            asked.words.append(answer)
            self._judge(asked)
        else:
            witness.rest()
            self._confirm(asked)

    def _judge(self, asked: _Asked) -> None:
        """Once everybody has answered."""
        rows = asked.rows
        if rows is None or asked.silent:
            return
        if rows.may_be_served(asked.words):
            self._end(asked, rows)
        else:
            assert asked.party is not None
            self._witnesses.failed(asked.party, rows, asked.words)
            self._confirm(asked)

    def _confirm(self, asked: _Asked) -> None:
        """Words are of no help: the manager shall confirm it."""
        self._forget(asked)
        self._send(asked.manager, asked.batch)

    def _end(self, asked: _Asked, answer: Answer | CallFailed | None) -> None:
        self._forget(asked)
        asked.together.answered(asked.count)
        self._settle(asked.manager, asked.batch, answer)

    def _forget(self, asked: _Asked) -> None:
        self._unvouched.pop(asked, None)
        del self._asked[asked]
        self._fill(asked.together)

    def _fill(self, together: Together[Batch]) -> None:
        """How many its next call waits for, within this moment: the more are under way, the more."""
        under_way = sum([asked.count for asked in self._asked if asked.together is together])
        together.full = KEYS_EARLY if not under_way else KEYS_SOON if under_way < KEYS_SOON else KEYS_TOGETHER_MAX

    def _settle(self, manager: str, batch: Batch, answer: Answer | CallFailed | None) -> None:
        if not isinstance(answer, KeyRows) or answer.refused or not 0 < len(answer.rows) <= batch.left:
            batch.tell_nothing()
            return
        batch.tell(answer.rows)
        if batch.left:  # one answer has no room for more
            self._send(manager, batch)

    async def _look_after(self) -> None:
        """While calls are under way: give those up that take too long."""
        while self._asked:
            oldest = next(iter(self._asked))
            await trio.sleep_until(oldest.overdue_at)
            if oldest in self._asked:
                oldest.heard(None)
        self._looking = False

    async def _listen(self) -> None:
        """While words are due: do without those that take too long. What has come meanwhile is heard first, for it may be this
        process that was busy."""
        while self._unvouched:
            oldest = next(iter(self._unvouched))
            await trio.sleep_until(oldest.words_overdue_at)
            await trio.lowlevel.checkpoint()
            if oldest in self._unvouched:
                self._overdue(oldest)
        self._listening = False

    def _overdue(self, asked: _Asked) -> None:
        """Who is silent owes a word. If it is the rows alone that are missing, they have their own time."""
        del self._unvouched[asked]
        if asked.silent:
            asked.words_are_overdue = True
            for witness in asked.silent:
                witness.owes += 1
                witness.rest()
            self._confirm(asked)
