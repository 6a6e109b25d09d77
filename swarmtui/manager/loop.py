"""The manager in trio: one nursery for one leadership, cancelled and awaited by whoever opened it.

One task looks and proposes; every proposal, dial and confirmation is a short task of its own beside it. Nothing polls: the
looking task sleeps until the store, an agent, a result or a deadline wakes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from swarmtui.manager.dispatcher import Confirm, Effect, Probe, Send
from swarmtui.manager.driver import Batch
from swarmtui.manager.genesis import genesis
from swarmtui.manager.leadership import Leadership, OutcomeUnknown, ProposalRefused, SessionKey, SessionPort
from swarmtui.manager.manager import Manager
from swarmtui.manager.membership import MembershipPort, Wish
from swarmtui.manager.reconciler import Moment
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.operations import Require, Result, Transaction, Verdict
from swarmtui.objects.records import Task

RETRY_S = 0.1
"""After a refusal or an unknown outcome, before asking the same again."""

PROBE_TIMEOUT_S = 1.0
"""A dial that hangs says nothing; it is given up and made again later."""


async def run_manager(
    leadership: Leadership,
    sessions: SessionPort,
    gaps: trio.MemoryReceiveChannel[float],
    *,
    manifest: Manifest | None = None,
    trust_refusals_from: float = 0.0,
    members: MembershipPort | None = None,
) -> None:
    """Runs everything that only the leader runs, until cancelled. `gaps` brings the monotonic time after each gap of this
    node. `manifest`: what the cluster was born with, for its first leader. `trust_refusals_from`,
    `members`: see `Manager`."""
    if manifest is not None:
        await _be_born(leadership, manifest)
    await _Running(leadership, sessions, gaps, trust_refusals_from, members).run()


async def _be_born(leadership: Leadership, manifest: Manifest) -> None:
    """Genesis, once. Whatever becomes of a proposal, the store is read again before the next."""
    while transactions := genesis(leadership.store, manifest):
        try:
            result = await leadership.propose(transactions[0])
            if result.verdict is not Verdict.DONE:
                leadership.narrate("refused", f"the cluster's records could not be created: {result.text}")
                await trio.sleep(RETRY_S)
        except ProposalRefused:
            await trio.sleep(RETRY_S)
        except OutcomeUnknown:
            await _decide_everything_before(leadership)


async def _decide_everything_before(leadership: Leadership) -> None:
    """Returns when everything proposed by this leadership so far is decided: a log is a sequence, so a proposal with a
    result (this one writes nothing) has no undecided one before it."""
    nothing = Transaction((Require(Task.TABLE, leadership.new_id()),))
    while True:
        try:
            await leadership.propose(nothing)
            return
        except (ProposalRefused, OutcomeUnknown):
            await trio.sleep(RETRY_S)


class _Running:
    """The tasks of one leadership and the bell that wakes the looking one."""

    def __init__(
        self,
        leadership: Leadership,
        sessions: SessionPort,
        gaps: trio.MemoryReceiveChannel[float],
        trust_refusals_from: float,
        members: MembershipPort | None,
    ) -> None:
        self._leadership = leadership
        self._members = members
        self._sessions = sessions
        self._gaps = gaps
        self._bell = trio.Event()
        self._manager = Manager(
            leadership.store,
            term=leadership.term,
            new_id=leadership.new_id,
            moment=self._moment(),
            wake=self._ring,
            trust_refusals_from=trust_refusals_from,
            members=members,
        )

    def _moment(self) -> Moment:
        return Moment(self._leadership.now(), self._leadership.wall())

    def _ring(self) -> None:
        self._bell.set()

    async def run(self) -> None:
        if self._members is not None:
            self._members.watch(self._members_changed)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, nursery)
                nursery.start_soon(self._notice_gaps)
                await self._look_for_ever(nursery)
        finally:
            if self._members is not None:
                self._members.watch(None)
            self._manager.close()

    def _members_changed(self) -> None:
        self._manager.members_changed(self._moment())
        self._ring()

    async def _look_for_ever(self, nursery: trio.Nursery) -> None:
        while True:
            self._bell = trio.Event()
            for batch in self._manager.look(self._moment()):
                nursery.start_soon(self._propose, batch)
            self._carry_out(nursery)
            deadline = self._manager.deadline
            if deadline is None:
                await self._bell.wait()
                continue
            with trio.move_on_after(max(0.0, deadline - self._leadership.now())):
                await self._bell.wait()

    def _carry_out(self, nursery: trio.Nursery) -> None:
        """What the dispatcher wants done, and what there is to tell."""
        for effect in self._manager.effects(self._moment()):
            self._do(effect, nursery)
        for wish in self._manager.wishes():
            nursery.start_soon(self._change_members, wish)
        for said in self._manager.says():
            self._leadership.narrate(said.kind, said.text, object=said.object, data=dict(said.data))

    def _do(self, effect: Effect, nursery: trio.Nursery) -> None:
        match effect:
            case Send(key, message):
                self._sessions.send(key, message)
            case Confirm(keys):
                nursery.start_soon(self._confirm, keys)
            case Probe(node_id, address):
                nursery.start_soon(self._probe, node_id, address)

    async def _propose(self, batch: Batch) -> None:
        verdict: Verdict | None = None
        try:
            result: Result = await self._leadership.propose(batch.transaction)
            verdict = result.verdict
        except ProposalRefused:
            await trio.sleep(RETRY_S)
        except OutcomeUnknown:
            await _decide_everything_before(self._leadership)
        self._manager.settled(batch, verdict, self._moment())
        self._ring()

    async def _change_members(self, wish: Wish) -> None:
        assert self._members is not None
        refusal = await self._members.change(wish)
        self._manager.answered(refusal, self._moment())
        self._ring()

    async def _confirm(self, keys: tuple[SessionKey, ...]) -> None:
        await _until_allowed(self._leadership.confirmed)
        self._manager.dispatcher.confirmed(keys)
        self._ring()

    async def _probe(self, node_id: str, address: str) -> None:
        refused = False
        with trio.move_on_after(PROBE_TIMEOUT_S):
            refused = await self._sessions.probe(node_id, address)
        self._manager.health.probed(node_id, refused, self._moment())
        self._ring()

    async def _listen(self, nursery: trio.Nursery) -> None:
        async for key, message in self._sessions.incoming:
            if self._manager.feed(key, message, self._moment()):
                self._ring()
            else:
                self._carry_out(nursery)

    async def _notice_gaps(self) -> None:
        async for now in self._gaps:
            self._manager.gap(now)
            self._ring()


async def _until_allowed(ask: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await ask()
            return
        except (ProposalRefused, OutcomeUnknown):
            await trio.sleep(RETRY_S)
