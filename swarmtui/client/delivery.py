"""A write until it is known what became of it: sent as often as needed, applied once.

Every write ends as done, refused or unknown. Each is a request of this client's session, so one that left and was not
answered is sent again under the same serial, to whoever leads then, and is answered with the result of its first time if
it had one. *Unknown* is said when the time is over, or when the store has forgotten the session meanwhile; *refused* only
if no copy of the write was applied, or can be.

Writes that are asked for in the same moment by different tasks travel in one call: a thousand tasks that write cost a
thousand transactions and a few calls, and no task waits for another's. Each is still judged alone.

A leader that falls silent under a call is given up as soon as another one leads: `_look_after` is the one task that looks,
and only when an answer takes long.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import ClientError, Refused, error_of
from swarmtui.client.sessions import Session
from swarmtui.client.together import Together
from swarmtui.client.wishes import Wish
from swarmtui.client.writes import ANSWER_GRACE_S, ELSEWHERE_RULES, FAULT_RULE, READ_FIRST, Writes
from swarmtui.objects.codec import MalformedObject, OnePut, encode_request
from swarmtui.objects.operations import Result, Transaction, Verdict
from swarmtui.objects.transactions import Bundle
from swarmtui.wire.calls import Answer
from swarmtui.wire.node_calls import Fate, Outcome, Propose
from swarmtui.wire.rpc import Caller, CallFailed, NotSent
from swarmtui.wire.rules import LOST, NO_LEADER, OVERWRITTEN

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

TOGETHER_MAX = 334  # transactions in one call: a thousand are three, each with another who has a part in it
TOGETHER_BYTES_MAX = 1024 * 1024
SILENCE_S = 1.0  # an answer that takes longer is a reason to look who leads,
LOOK_S = 0.25  # and to look again
PAUSE_S = 0.01  # before a write is sent for the third time; each further pause is twice as long,
PAUSE_MAX_S = 0.5  # at most

DONE = Fate.DONE  # fetched from its enumeration once, for every write is asked twice
NOT_TAKEN = Outcome(Fate.REFUSED, rule=NO_LEADER, reason="whoever led did not take it, and its time is over; try again")


@attrs.define(eq=False)
class _Write(Wish):
    """One transaction that a task waits for."""

    transaction: Transaction | OnePut
    timeout_s: float
    session: Session
    serial: int = 0
    encoded: bytes = b""
    outcome: Outcome | None = None
    error: ClientError | None = None
    doubt: Outcome | None = None  # why it is not known what became of a copy that left
    refused: Outcome | None = None  # why the last copy was certainly not applied

    def number(self) -> None:
        """The next serial of its session is this write's. Raises MalformedObject."""
        session = self.session
        self.serial = serial = session.next()
        try:
            self.encoded = encode_request(self.transaction, session.id, serial, session.lowest, session.since)
        except MalformedObject:
            session.answered(serial)
            raise

    @property
    def known(self) -> Outcome:
        """What came of it, once it is settled. Raises what kept it from leaving."""
        if self.error is not None:
            raise self.error
        assert self.outcome is not None
        return self.outcome

    @property
    def result(self) -> Result:
        """Of what was done. Raises what any other outcome means."""
        outcome = self.known
        if outcome.fate is not DONE:
            raise error_of(outcome)
        assert outcome.result is not None
        return outcome.result

    def end(self, outcome: Outcome | None, error: ClientError | None = None) -> None:
        """This came of it, and nobody sends it again."""
        self.session.answered(self.serial)
        self.outcome, self.error = outcome, error
        self.settle()


@attrs.define(eq=False)
class _Attempt(ABC):
    """One call that is under way, since the highest term that was known was `term`."""

    term: int
    look_at: float
    overdue_at: float = math.inf

    @abstractmethod
    def give_up(self) -> None:
        """Another manager leads, or the answer is overdue."""


@attrs.define(eq=False)
class _Awaited(_Attempt):
    """A task waits for its answer."""

    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def give_up(self) -> None:
        self.scope.cancel()


@attrs.define(eq=False, kw_only=True)
class _Sent(_Attempt):
    """No task waits for its answer, which is told to `heard`. An object, and not two functions that know each other: those
    would be a cycle, left to the garbage collector with every write."""

    delivery: Delivery
    writes: list[_Write]
    caller: Caller
    call: Propose
    deadline: float

    def heard(self, answer: Answer | CallFailed) -> None:
        self.delivery.heard(self, answer)

    def give_up(self) -> None:
        self.delivery.heard(self, None)


class Delivery:
    """The writing side of one `Cluster`."""

    def __init__(self, cluster: Cluster, writes: Writes) -> None:
        self._cluster = cluster
        self._writes = writes
        self._session: Session | None = None
        self._together: Together[list[_Write]] = Together(self._send_all, TOGETHER_MAX)
        self._attempts: set[_Attempt] = set()
        self._looking = False

    # -------------------------------------------------------------------------------------------------------- asking

    async def submit(self, transaction: Transaction | OnePut, timeout_s: float) -> Result:
        """The result of one transaction that was done, sent together with whatever else is asked for at this moment. Raises
        what the outcome of any other means."""
        if not self._cluster.index_seen:
            await self._writes.look()  # whoever leads must be found in any case
        together = self._together
        if together.gathering is None:
            await trio.lowlevel.checkpoint_if_cancelled()  # once it has a number, somebody must settle it
        write = self._write(transaction, timeout_s)
        if together.gathering is None:
            await together.lead([write])
        else:
            together.gathering.append(write)
            if len(together.gathering) >= together.full:
                together.leave()
        if not write.settled:
            await write.wait()
        return write.result

    async def submit_all(self, transactions: Sequence[Transaction], timeout_s: float) -> tuple[Outcome, ...]:
        """The outcome of each, sent in one call. Raises what kept them from leaving."""
        if not self._cluster.index_seen:
            await self._writes.look()
        await trio.lowlevel.checkpoint_if_cancelled()
        writes = [self._write(transaction, timeout_s) for transaction in transactions]
        try:
            if writes:
                await self._deliver(writes, timeout_s)
        finally:
            for write in writes:  # if this was cancelled: nobody will send them again
                if not write.settled:
                    write.end(None)
        return tuple([write.known for write in writes])

    def _write(self, transaction: Transaction | OnePut, timeout_s: float) -> _Write:
        """Raises Refused for one that cannot be written down."""
        write = _Write(transaction, timeout_s, self._usable_session())
        try:
            write.number()
        except MalformedObject as error:
            raise Refused("invalid", str(error)) from None
        return write

    def _usable_session(self) -> Session:
        """A new one costs nothing: it is opened by its first request."""
        if self._session is None or self._session.full:
            self._session = Session(max(1, self._cluster.index_seen))
        return self._session

    # ------------------------------------------------------------------------------------------------------- sending

    def _send_all(self, writes: list[_Write]) -> None:
        batch: list[_Write] = []
        size = 0
        for write in writes:
            if write.abandoned:
                write.end(None)
                continue
            full = len(batch) >= TOGETHER_MAX or size + len(write.encoded) > TOGETHER_BYTES_MAX
            if batch and (full or write.timeout_s != batch[0].timeout_s):
                self._send(batch)
                batch, size = [], 0
            batch.append(write)
            size += len(write.encoded)
        if batch:
            self._send(batch)

    def _send(self, writes: list[_Write]) -> None:
        """Mostly it is known who leads: then the call leaves now, its answer settles the writes where it arrives, and no
        task waits for it. Everything else takes the long way."""
        timeout_s = writes[0].timeout_s
        now = trio.current_time()
        deadline = now + timeout_s
        call = Propose(Bundle.of([write.encoded for write in writes]), timeout_s)
        caller = self._writes.trusted_leader()
        if caller is None:
            self._cluster.nursery.start_soon(self._deliver, writes, timeout_s)
            return

        sent = _Sent(
            self._cluster.term_seen,
            now + SILENCE_S,
            deadline + ANSWER_GRACE_S,
            delivery=self,
            writes=writes,
            caller=caller,
            call=call,
            deadline=deadline,
        )
        self._watch_over(sent)
        if not caller.ask(call, sent.heard):
            self.heard(sent, NotSent("the connection is full, or has just ended"))

    def heard(self, sent: _Sent, answer: Answer | CallFailed | None) -> None:
        """What came of it; None if it was given up. Only the first counts."""
        if sent not in self._attempts:
            return
        self._attempts.discard(sent)
        self._together.answered(len(sent.writes))
        if answer is None:
            again = self._settle(sent.writes, _given_up(sent.call))
        else:
            again = self._understand(sent.writes, sent.caller, sent.call, answer)
        self._go_on(again, sent.deadline)

    def _understand(
        self, writes: list[_Write], caller: Caller, call: Propose, answer: Answer | CallFailed
    ) -> list[_Write]:
        """Those that are to be sent again."""
        try:
            outcomes = self._writes.understand(caller, call, answer)
        except Refused as error:
            return self._refuse(writes, error)
        if outcomes is None:
            outcomes = (NOT_TAKEN,) * call.count
        elif all(one.fate is Fate.REFUSED and one.rule in ELSEWHERE_RULES for one in outcomes):
            self._cluster.leader = ""
        else:
            return self._settle(writes, outcomes)
        for write, outcome in zip(writes, outcomes, strict=True):
            write.refused = outcome
        return writes  # the others are asked as well, if there is time

    def _go_on(self, writes: list[_Write], deadline: float) -> None:
        """The short way has ended; what it did not settle takes the long one, while there is time."""
        if writes and (left_s := deadline - trio.current_time()) > 0:
            self._cluster.nursery.start_soon(self._deliver, writes, left_s)
        else:
            for write in writes:
                write.end(write.doubt or write.refused)

    async def _deliver(self, writes: list[_Write], timeout_s: float) -> None:
        """Until each of them is settled."""
        deadline = trio.current_time() + timeout_s
        pause_s = 0.0
        while writes := await self._try(writes, max(0.0, deadline - trio.current_time())):
            if trio.current_time() + pause_s >= deadline:
                for write in writes:
                    write.end(write.doubt or write.refused)
                return
            await trio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, 2 * pause_s or PAUSE_S)

    async def _try(self, writes: list[_Write], timeout_s: float) -> list[_Write]:
        """Sends them once. Those that are to be sent again."""
        call = Propose(Bundle.of([write.encoded for write in writes]), timeout_s)
        try:
            outcomes = await self._attempt(call)
        except ClientError as error:  # nothing left this time
            return self._refuse(writes, error)
        return self._settle(writes, outcomes)

    @staticmethod
    def _refuse(writes: list[_Write], error: ClientError) -> list[_Write]:
        """Those are to be sent again of which an earlier copy is in doubt."""
        for write in writes:
            if write.doubt is None:
                write.end(None, error)
        return [write for write in writes if write.doubt is not None]

    def _settle(self, writes: list[_Write], outcomes: Sequence[Outcome]) -> list[_Write]:
        """Those that are to be sent again."""
        again = []
        for write, outcome in zip(writes, outcomes, strict=True):
            known = outcome if outcome.fate is DONE else self._weigh(write, outcome)
            if known is not None:
                write.end(known)
            else:
                again.append(write)
        last = outcomes[-1].result
        if last is not None:
            self._cluster.index_seen = max(self._cluster.index_seen, last.index)
        return again

    def _weigh(self, write: _Write, outcome: Outcome) -> Outcome | None:
        """What the write has come to with this outcome of one copy; None: it is to be sent again."""
        if outcome.fate is Fate.UNKNOWN:
            write.doubt = outcome
            return outcome if outcome.rule == FAULT_RULE else None
        result = outcome.result
        if result is None:
            write.refused = outcome
            return outcome if write.doubt is None and outcome.rule != OVERWRITTEN else None
        if result.verdict is not Verdict.EXPIRED:
            return outcome
        write.session.over = True
        if write.doubt is not None:
            return attrs.evolve(write.doubt, reason=f"{write.doubt.reason}; sent again, but {result.text}")
        self._cluster.index_seen = max(self._cluster.index_seen, result.index)
        write.refused = outcome
        write.session.answered(write.serial)
        write.session = self._usable_session()
        write.number()
        return None

    # ------------------------------------------------------------------------------------------------------ patience

    async def _attempt(self, call: Propose) -> tuple[Outcome, ...]:
        """What came of this copy of the call; unknown, if it was given up because another manager leads now."""
        attempt = _Awaited(self._cluster.term_seen, trio.current_time() + SILENCE_S)
        self._watch_over(attempt)
        try:
            with attempt.scope:
                return await self._writes.propose(call)
        finally:
            self._attempts.discard(attempt)
        return _given_up(call)

    def _watch_over(self, attempt: _Attempt) -> None:
        self._attempts.add(attempt)
        if not self._looking:
            self._looking = True
            self._cluster.nursery.start_soon(self._look_after)

    async def _look_after(self) -> None:
        """While calls are under way: give those up that were sent before the leader of today was known."""
        while self._attempts:
            await trio.sleep_until(min([attempt.look_at for attempt in self._attempts]))
            late = [attempt for attempt in self._attempts if attempt.look_at <= trio.current_time()]
            if late:
                await self._writes.look()
            for attempt in late:
                attempt.look_at = trio.current_time() + LOOK_S
                if self._cluster.term_seen > attempt.term or attempt.look_at > attempt.overdue_at:
                    attempt.give_up()
        self._looking = False


def _given_up(call: Propose) -> tuple[Outcome, ...]:
    lost = Outcome(Fate.UNKNOWN, rule=LOST, reason=f"sent to a leader that leads no more; {READ_FIRST}")
    return (lost,) * call.count
