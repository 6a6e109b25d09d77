"""What a leader does about the members: take wishes, leave joint configurations, bring learners up to date and promote them.

All that it knows beyond the configuration itself is how far each learner's catching up is. So a leader that is elected in the
middle of anything goes on from the configuration that it finds: a joint one is left, a promotion is made, whoever wished it.

Catching up goes in rounds (dissertation 4.2.1): a round is over when the learner has durably what the log held when the
round began. A round that took less than an election timeout means that the learner would hold nobody up: it is promoted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.changes import InvalidChange, left, next_configuration, promoted, why_not_next
from swarmtui.raft.configuration import Configuration, encode_configuration
from swarmtui.raft.effects import Accepted, Refused
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import MembersAsked
from swarmtui.raft.invariants import require
from swarmtui.raft.quorum import majority
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.leader import Leader

NEVER = sys.maxsize  # as an index


@attrs.define
class CatchUp:
    """A learner's way to a vote: round `number` is over when it has `target`. `last_s` is how long the round before took;
    `ready`: short enough. `pause_until` is set between two attempts."""

    number: int
    target: int
    began_at: float
    last_s: float | None = None
    ready: bool = False
    pause_until: float | None = None

    def begin(self, target: int, now: float) -> None:
        """From the first round on."""
        self.number, self.target, self.began_at = 1, target, now
        self.ready, self.pause_until = False, None


class LeaderMembership:
    """`due_at` is the commit index at which something may be done: the configuration in force, and an entry of this term,
    are committed; `NEVER` once that was so."""

    def __init__(self, leader: Leader) -> None:
        self.leader = leader
        self.core = leader.core
        self.catching_up: dict[str, CatchUp] = {}
        self.due_at = leader.first_index
        self._said: Why | None = None  # why a promotion waits, said once

    def met(self) -> None:
        """Another configuration is in force."""
        core = self.core
        self.due_at = max(self.leader.first_index, core.members.index)
        wanted = {promotion.id for promotion in core.members.current.promotions}
        for id in self.catching_up.keys() - wanted:
            del self.catching_up[id]
        for id in sorted(wanted - self.catching_up.keys() - {core.node_id}):
            self.catching_up[id] = CatchUp(1, core.log.last, core.now)

    # ---- wishes ----

    def ask(self, asked: MembersAsked) -> None:
        """Append the next configuration, or refuse by name."""
        core = self.core
        why = self._why_not_now(asked)
        if why is None:
            try:
                wanted = next_configuration(core.members.current, asked.changes)
            except InvalidChange as error:
                why = error.why
            else:
                why = self._why_not(wanted)
                if why is None:
                    self._append(wanted)
                    core.emit(Accepted(asked.ticket, core.ballot.term, core.log.last))
                    return
        core.emit(Refused(asked.ticket, why))

    def _why_not_now(self, asked: MembersAsked) -> Why | None:
        core, members = self.core, self.core.members
        if asked.term != core.ballot.term:
            return Why("wrong-term", asked=asked.term, mine=core.ballot.term)
        if self.leader.transfer.target:
            return Why("transfer", heir=core.name(self.leader.transfer.target))
        if core.log.commit < self.leader.first_index:  # the bug of single-server changes (raft-dev 2015)
            return Why("own-term", index=self.leader.first_index, commit=core.log.commit)
        if members.index > core.log.commit:
            return Why("in-flight", index=members.index, commit=core.log.commit)
        if members.current.is_joint:
            return Why("in-flight/joint", index=members.index)
        return None

    def _why_not(self, wanted: Configuration) -> Why | None:
        """The guard, then the leader's own leaving: it hands over first, so that nobody waits for an election."""
        core, transfer = self.core, self.leader.transfer
        if why := self.why_no_quorum(wanted):
            return why
        staying = {member.id for member in wanted.voters}
        if core.node_id in staying:
            return None
        name = core.name(core.node_id)
        if heir := transfer.heir(among=staying):
            transfer.begin(heir)
            return Why("leader-leaves", leader=name, heir=core.name(heir))
        return Why("leader-leaves/nobody", leader=name)

    def why_no_quorum(self, wanted: Configuration) -> Why | None:
        """The arithmetic that forbids these voters, None if those in contact could go on."""
        for half, when in ((wanted.voters, "after"), (wanted.outgoing, "during")):
            needed = majority(len(half)) if half else 0
            answering = [member.name for member in half if self.leader.answers(member.id)]
            if len(answering) < needed:
                return Why(
                    "quorum",
                    when=when,
                    needed=needed,
                    voters=len(half),
                    names=" ".join(member.name for member in half),
                    answer=len(answering),
                    answering=" ".join(answering) or "none",
                )
        return None

    def _append(self, wanted: Configuration) -> None:
        core = self.core
        fault = why_not_next(core.members.current, wanted)
        require(not fault, "every quorum of one configuration meets every quorum of the next", why=fault)
        entry = Entry(core.log.last + 1, core.ballot.term, EntryKind.CONFIGURATION, encode_configuration(wanted))
        core.append([entry])

    # ---- going on by itself ----

    def on_commit(self) -> None:
        """The configuration in force and an entry of this term are committed now."""
        self.due_at = NEVER
        core, members = self.core, self.core.members
        for peer in members.previous.members:
            if peer.id in members.removed and peer.id != core.node_id:
                core.belonging.tell_removed(peer.id)  # it gets no entries any more
        if core.node_id in members.voters:
            self.go_on()
        else:
            self._step_down()

    def _step_down(self) -> None:
        """The configuration without us is committed (dissertation 4.2.2): whoever is most advanced shall lead at once."""
        leader = self.leader
        if heir := leader.transfer.heir():
            leader.transfer.tell(heir)
        leader.replication.notice(self.core.log.commit, leader.reads.number)
        self.core.follow(self.core.ballot.term, "", Why("voter-no-more/leader", index=self.core.members.index))

    def go_on(self) -> None:
        """Leave a joint configuration, or promote who is ready; nothing while a change or a transfer is under way."""
        if self.due_at != NEVER or self.leader.transfer.target:
            return
        current = self.core.members.current
        if current.is_joint:
            self._append(left(current))
        elif ready := [id for id, catch_up in self.catching_up.items() if catch_up.ready]:
            self._promote(current, ready)

    def _promote(self, current: Configuration, ready: list[str]) -> None:
        wanted = promoted(current, ready)
        why = self._why_not(wanted)
        if why is not None and not self._is_handed_over_by_leaving(why, current):
            others = [promotion.id for promotion in current.promotions if promotion.instead_of != self.core.node_id]
            first = [id for id in ready if id in others]
            if why.name == "leader-leaves/nobody" and first and len(first) < len(ready):
                self._promote(current, first)  # one of them can take over, and then replace this leader
            else:
                self._let_wait(ready, why)
            return
        self._said = None
        self.core.narrate("promoted", who=" ".join(map(self.core.name, ready)))
        self._append(wanted)

    def _let_wait(self, ready: list[str], why: Why) -> None:
        if why != self._said:
            self.core.narrate("promotion waits", why, of=" ".join(map(self.core.name, ready)))
        self._said = why

    @staticmethod
    def _is_handed_over_by_leaving(why: Why, current: Configuration) -> bool:
        """The only voter cannot hand over before its replacement votes: it leads through the joint configuration, and steps
        down when it is left (dissertation 4.2.2)."""
        return why.rule == "leader-leaves" and len(current.voters) == 1

    # ---- rounds ----

    def on_match(self, peer: str, match: int) -> None:
        """A peer has durably everything up to `match`."""
        catch_up = self.catching_up.get(peer)
        if catch_up is None or match < catch_up.target or catch_up.ready or catch_up.pause_until is not None:
            return
        core = self.core
        catch_up.last_s = core.now - catch_up.began_at
        if catch_up.last_s < core.options.election_timeout_s:
            catch_up.ready = True
            self.go_on()
        elif catch_up.number < core.options.catch_up_rounds_max:
            catch_up.number += 1
            catch_up.target, catch_up.began_at = core.log.last, core.now
        else:
            why = Why("catch-up/slow", rounds=catch_up.number, took_ms=round(catch_up.last_s * 1000))
            self._pause(peer, catch_up, why)

    def _pause(self, peer: str, catch_up: CatchUp, why: Why) -> None:
        core = self.core
        core.narrate("catching up given up", why, who=core.name(peer))
        catch_up.pause_until = core.now + core.options.catch_up_pause_s

    def tick(self) -> None:
        """With each heartbeat: who fell silent is not promoted, who paused tries again."""
        now, patience_s = self.core.now, self.core.options.catch_up_pause_s
        for peer, catch_up in self.catching_up.items():
            progress = self.leader.progress[peer]
            if catch_up.pause_until is not None:
                if now >= catch_up.pause_until and self.leader.answers(peer):
                    catch_up.begin(self.core.log.last, now)
            elif not self.leader.answers(peer):
                catch_up.ready = False
                heard_at = catch_up.began_at if progress.heard_at is None else progress.heard_at
                if now - heard_at >= patience_s:
                    self._pause(peer, catch_up, Why("catch-up/silent", patience_ms=round(patience_s * 1000)))
        for peer in list(self.catching_up):  # the log may have stood still since the round began
            if peer in self.catching_up:
                self.on_match(peer, self.leader.progress[peer].match)
        self.go_on()

    def gap(self) -> None:
        """The machine slept: no round took that long."""
        for catch_up in self.catching_up.values():
            catch_up.began_at = self.core.now
