"""The driver of the core: feeds it what happens, carries out what it wants done.

Anybody may `feed`; in a `turn` effects are drained once for all that was fed meanwhile. A proposal leaves at once if
nobody else's is under way; else it waits for the driver's task to take the next turn, which is when everybody who is awake
has proposed, for the disk to end what it is doing, and a little for the round that is on its way: that is what makes batches
under load. News of a peer or of the disk, each a batch already, is followed by a turn at once.

What somebody waits for comes first: Sends go out before Writes are begun, so the followers' disks work beside ours (the
core itself holds back every message that promises more than is durable); where there is nothing better to do the turn waits
for a good disk, and what waited for that leaves next; answers to clients leave, all of one connection together, as soon as
their entries are applied; and where nobody waits for that, as on a follower, a turn that leaves a Write to the disk's thread
leaves the applying to the next one, for that thread needs the interpreter now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

import trio

from swarmtui.node.bell import Bell, Promise
from swarmtui.node.events import Events
from swarmtui.node.members import by_nodes
from swarmtui.node.proposals import Proposals
from swarmtui.node.reads import Reads
from swarmtui.node.refusals import ConsensusRefusals, data_of
from swarmtui.node.wiring import Wiring
from swarmtui.objects.membership import node_of
from swarmtui.objects.operations import Result
from swarmtui.objects.records import Node
from swarmtui.raft.attestation import Attestation, attest
from swarmtui.raft.changes import Change
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import (
    Accepted,
    Apply,
    Effect,
    Expelled,
    InstallSnapshot,
    MembersChanged,
    Narrate,
    ReadReady,
    ReadRefused,
    Refused,
    Role,
    RoleChanged,
    Send,
    Write,
)
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import (
    Applied,
    Gap,
    Input,
    MembersAsked,
    ReadAsked,
    SnapshotInstalled,
    Tick,
    TransferAsked,
)
from swarmtui.raft.reasons import Why
from swarmtui.raft.status import Status
from swarmtui.store import Frozen, Store

# Applied between two chances for everybody else to run: so many entries, or as many as weigh so much together. One of a busy
# leader holds a thousand writes and takes 4 ms by itself.
APPLY_SLICE_ENTRIES = 64
APPLY_SLICE_BYTES = 256 * 1024

GATHER_S = 0.005  # at most, for the round before what is proposed: over a slow link several are on their way
NEVER = float("-inf")
SOON_S = 0.01  # what was put off and would come later wakes us in vain: that is cheaper than to tell trio every time
READING_S = 0.01  # from each read on: so long nobody stands still for the disk


class Consensus:
    """The core, the store that it fills, and the two waiting rooms: `proposals` and `reads`."""

    def __init__(self, core: RaftCore, store: Store, events: Events, *, election_timeout_s: float) -> None:
        self.core = core
        self.store = store
        self._events = events
        self._refusals = ConsensusRefusals(events)
        self._gap_s = election_timeout_s
        self._bell = Bell()
        self._to_apply: deque[Entry] = deque()
        self.transactions_applied = 0  # by this process
        self.proposals = Proposals(self._hand_over, self._proposed)
        self.reads = Reads(self._read_asked)
        self._transfers: dict[int, Callable[[str], None]] = {}
        self._waiting_for_reign = trio.lowlevel.ParkingLot()
        self._changes: dict[int, Promise[Refused | None]] = {}
        self._ticket = -1  # transfers and changes of members count downwards, proposals upwards
        self._wiring: Wiring | None = None
        self._fault: Exception | None = None  # that came to light in somebody else's step: `run` raises it
        self._is_turning = False
        self._gathers_until = NEVER
        self._reads_until = NEVER
        self._sleep = trio.CancelScope()  # of the driver's task, until the core's deadline

    def feed(self, input: Input) -> None:  # noqa: A002 - the core's word
        """Something happened. Effects follow when the driver's task next runs, and so does a fault that it brings to
        light: whoever tells it might survive that."""
        self._take(input)
        self._bell.ring()

    def _take(self, input: Input) -> None:  # noqa: A002 - the core's word
        try:
            self.core.feed(input, trio.current_time())
        except Exception as error:
            self._fault = error

    def _hand_over(self, proposed: Input) -> None:
        """As `feed`, within a turn: what follows is carried out in this one."""
        self.core.feed(proposed, trio.current_time())

    def _proposed(self) -> None:
        """Something waits to be handed over. What is alone leaves at once; what must wait, for the disk or for a round, does so
        for the news of it, which is followed by a turn anyhow."""
        if self._is_writing:
            return
        if self._has_round_on_its_way:
            self._sleep.deadline = min(self._sleep.deadline, self._gathers_until)
        elif self.proposals.count > 1:
            self._bell.ring()
        else:
            self._turn_at_once()

    def _read_asked(self, asked: ReadAsked, is_alone: bool) -> None:
        self._reads_until = trio.current_time() + READING_S
        self._take(asked)
        if is_alone and self._fault is None:
            self._turn_at_once()
        else:
            self._bell.ring()

    def _turn_at_once(self) -> None:
        """In the step of whoever asks, instead of the driver's task; unless that step is part of a turn, whose effects must
        be carried out to their end before any that came later."""
        if self._is_turning:
            self._bell.ring()
            return
        try:
            self.turn()
        except Exception:  # no fault of the caller's, who would be told so and survive it: `run` raises it
            self._bell.ring()

    def hear(self, *inputs: Input) -> None:
        """News of a peer or the disk: what follows from it is carried out at once. Raises what `turn` does."""
        now = trio.current_time()
        try:
            for each in inputs:
                self.core.feed(each, now)
        except Exception as error:
            self._fault = error
            raise
        self.turn()

    @property
    def reign(self) -> tuple[str, int]:
        """Who leads ("" while unknown) and in which term, without the cost of a whole status: asked at every write."""
        return node_of(self.core.role.leader), self.core.term

    async def reign_changed(self) -> None:
        """Wait until this node hears of another leader or loses the one it knew."""
        await self._waiting_for_reign.park()

    @property
    def _is_writing(self) -> bool:
        """This node leads, and its disk is at work: what is proposed meanwhile could not be written before that ends, and
        shares the next write, message and round. So the batches grow with the load, and an idle leader waits for nothing."""
        return self.core.role.kind is Role.LEADER and self.core.log.oldest_write_at is not None

    @property
    def _has_round_on_its_way(self) -> bool:
        """This node leads, and more is on its way, since a moment ago, than waits to follow it: where messages are quick it
        arrives soon, and to share a round is cheaper for everybody than to have one more. As many as are on their way, or
        some dozens, are enough for a round of their own: neither a few clients nor great batches wait for one another."""
        core = self.core
        is_open = core.role.kind is Role.LEADER and core.log.commit < core.log.last
        return is_open and trio.current_time() < self._gathers_until and not self.proposals.fill_a_round

    def _may_wait(self) -> bool:
        """For the disk, where it is given something to write. Where several calls are under way, or somebody reads, more arrives
        meanwhile and is better taken than left lying."""
        return self.proposals.calls <= 1 and self.core.now >= self._reads_until

    def status(self) -> Status:
        """With every member under its node's id."""
        return by_nodes(self.core.status(trio.current_time()))

    def member_ids(self, node_id: str) -> list[str]:
        """The members that this node is, as far as the configuration knows: one, but for the moment of a change."""
        return [id for id in self.core.members.ids if node_of(id) == node_id]

    def attest(self, nodes: Collection[str]) -> Attestation | None:
        """This member's word for a read that these nodes are asked together; None from one that must not go on."""
        if self._wiring is None or self._fault is not None:
            return None
        self._reads_until = trio.current_time() + READING_S
        return attest(self.core, [id for id in self.core.members.ids if node_of(id) in nodes])

    async def change_members(self, changes: tuple[Change, ...]) -> Refused | None:
        """None once the change is appended, in the term of now; else why not."""
        promise = self._changes[self._ticket] = Promise[Refused | None]()
        self.feed(MembersAsked(self._ticket, self.core.term, changes))
        self._ticket -= 1
        return await promise.value()

    def transfer(self, target: str, answer: Callable[[str], None]) -> None:
        """Hand over leadership; `answer` is called with "" or with why not."""
        self._transfers[self._ticket] = answer
        self.feed(TransferAsked(self._ticket, next(iter(self.member_ids(target)), target)))
        self._ticket -= 1

    async def run(self, wiring: Wiring) -> None:
        """Until cancelled. Whatever it raises, as InvariantViolation, this node must not go on: a turn that was not carried
        out to its end has perhaps lost a Write, or half of an entry."""
        self._wiring = wiring
        self._bell.ring()
        try:
            while True:
                with trio.CancelScope(deadline=self._deadline()) as self._sleep:
                    await self._bell.heard()
                if self._fault is not None:
                    raise self._fault
                if self._sleep.cancelled_caught:
                    self._tick()
                self.turn()
                while self._to_apply and self._fault is None:
                    await trio.lowlevel.checkpoint()
                    self._tick()  # heartbeats and deadlines do not wait for the end of a long log
                    self.turn()
        finally:
            self._wiring = None  # late news, as of the disk, moves nothing any more
            self.proposals.abandon("this manager stops")
            self.reads.abandon("this manager stops")
            wiring.flush()

    def _deadline(self) -> float:
        due, deadline = self.proposals.deadline, self.core.deadline
        if deadline is not None:
            due = min(due, deadline)
        if self.proposals.has_pending and not self._is_writing and self._has_round_on_its_way:
            due = min(due, self._gathers_until)
        return due

    def _tick(self) -> None:
        now, due = trio.current_time(), self._deadline()
        if now < due:
            return  # it was put off meanwhile
        if now - due > self._gap_s:
            self.core.feed(Gap(), now)  # the machine slept, not the peers
        self.core.feed(Tick(), now)  # one, however long it was: what is due is due now
        self.proposals.expire(now)

    def turn(self) -> None:
        """Carry out what all that was fed has brought about, and apply a slice of what is committed. Never waits. Whatever it
        raises, as InvariantViolation: this node must not go on, and no further turn is taken."""
        wiring = self._wiring
        if wiring is None or self._fault is not None:
            return  # not begun, or over
        self._is_turning = True
        try:
            self._turn(wiring)
        except Exception as error:
            self._fault = error
            raise
        finally:
            self._is_turning = False

    def _turn(self, wiring: Wiring) -> None:
        if self.proposals.has_pending and not self._is_writing and not self._has_round_on_its_way:
            self.proposals.flush()
            self._gathers_until = self.core.now + GATHER_S
        effects = self._drain()
        has_moved = bool(effects)
        if has_moved:
            self._carry_out(effects, wiring)
        while (written := wiring.begin_disk(self._may_wait)) is not None:  # what waits for it leaves before all else
            self.core.feed(written, trio.current_time())
            effects = self._drain()
            self._carry_out(effects, wiring)
        if self._to_apply and not self._may_put_off_applying(effects):
            self._apply_slice(wiring)
            if self.core.has_effects:
                self._carry_out(self._drain(), wiring)
            if self._to_apply:
                self._bell.ring()  # the rest when everybody else has had a chance
        deadline, told = self._deadline(), self._sleep.deadline
        if deadline < told or (deadline > told and told < self.core.now + SOON_S):
            self._sleep.deadline = deadline
        wiring.flush()
        if has_moved:
            wiring.moved()

    def _drain(self) -> list[Effect]:
        """What leaves with these effects, no later read may join."""
        effects = self.core.drain()
        self.reads.drained()
        return effects

    def _may_put_off_applying(self, effects: Sequence[Effect]) -> bool:
        """Until the turn that follows the disk's report, which is sure to come."""
        return not self.proposals.count and any(type(effect) is Write for effect in effects)

    def _carry_out(self, effects: Sequence[Effect], wiring: Wiring) -> None:
        wiring.send_all(effects)
        for effect in effects:
            match effect:
                case Send():
                    continue
                case Write():
                    wiring.disk(effect)
                case Apply(entries):
                    self._to_apply.extend(entries)
                case Accepted():
                    self._accepted(effect)
                case Refused():
                    self._refused(effect)
                case ReadReady() | ReadRefused():
                    if isinstance(effect, ReadRefused):
                        self._refusals.tell("read", effect.why, self.core.term)
                    self.reads.settle(effect)
                case RoleChanged():
                    self._gathers_until = NEVER
                    effect.leader = node_of(effect.leader)
                    wiring.role_changed(effect)
                    self._waiting_for_reign.unpark_all()
                case Narrate():
                    self._narrate(effect)
                case MembersChanged():
                    wiring.members_changed()
                case Expelled():
                    wiring.expelled(effect.reason)
                case _:
                    wiring.disk(effect)

    def _narrate(self, effect: Narrate) -> None:
        if effect.what == "dropped" and effect.why is not None:
            what = f"{effect.operands['kind']} of {self._called(effect.operands['source'])}"
            self._refusals.tell(what, effect.why, effect.term)
        else:
            self._events.tell(effect.topic, effect, term=effect.term, index=effect.index, data=data_of(effect))

    def _accepted(self, effect: Accepted) -> None:
        answer, promise = self._transfers.pop(effect.ticket, None), self._changes.pop(effect.ticket, None)
        if answer is not None:
            answer("")
        elif promise is not None:
            promise.keep(None)
        else:
            self.proposals.accepted(effect)

    def _refused(self, effect: Refused) -> None:
        answer, promise = self._transfers.pop(effect.ticket, None), self._changes.pop(effect.ticket, None)
        if answer is not None:
            why = self._with_name_of_heir(effect.why)
            self._refusals.tell("transfer", why, self.core.term)
            answer(str(why))
        elif promise is not None:  # whoever asked for a change of members tells what came of it
            promise.keep(effect)
        else:
            self._refusals.tell("write", effect.why, self.core.term)
            self.proposals.refused(effect)

    def _with_name_of_heir(self, why: Why) -> Why:
        heir = why.operands.get("heir")
        return why if heir is None else Why(why.name, **{**why.operands, "heir": self._called(heir)})

    def _called(self, id: str) -> str:
        """What people call it. The core knows its members alone; a worker has its name in the store."""
        node = self.store.get(Node, node_of(id))
        return self.core.name(id) if node is None else node.name

    def _apply_slice(self, wiring: Wiring) -> None:
        store, index, size_bytes = self.store, 0, 0
        for _ in range(min(APPLY_SLICE_ENTRIES, len(self._to_apply))):
            entry = self._to_apply.popleft()
            index = entry.index
            size_bytes += len(entry.data)
            results: Sequence[Result] = ()
            if entry.kind is EntryKind.TRANSACTIONS:
                results = store.apply(index, entry.term, entry.data)
                self.transactions_applied += len(results)
            else:
                store.skip(index, entry.term)
            self.proposals.applied(index, entry.term, results)  # any kind may stand in a write's place
            if size_bytes >= APPLY_SLICE_BYTES:
                break
        wiring.flush()  # the answers
        self.core.feed(Applied(index), trio.current_time())
        wiring.applied(index)

    def installed(self, effect: InstallSnapshot, state: Frozen) -> None:
        """A leader's snapshot is on our disk; `state` is what it holds, and takes the place of ours."""
        self._to_apply.clear()
        self.store.adopt(state)
        self.proposals.passed_over(effect.mark.index)
        self.feed(SnapshotInstalled(effect.mark))
