"""What can be wished of the members, and the configuration that comes next.

A leaf: configurations in, configurations out. The rule that everything here serves: every quorum of one configuration
meets every quorum of the next, so that no two leaders can be elected, and nothing can be committed twice, while some nodes
know the one and some the other. That holds for one voter more or less (the simple form), and for any set of voters by way
of a joint configuration, which needs both majorities and is then left for its new half (dissertation, chapter 4).

    voters 1 2 3         add 4: it receives the log, and waits to be promoted     voters 1 2 3 learners 4+
                         4 has caught up                                           voters 1 2 3 4
    voters 1 2 3         add 4, remove 3 (one request): 3 stays until then         voters 1 2 3 learners 4+(for 3)
                         4 has caught up: two voters change                        voters 1 2 4 outgoing 1 2 3
                         that is committed                                         voters 1 2 4

A voter that joins never votes at once: it would count without having anything. Removals and demotions happen at once,
unless as many voters join in the same request: then each leaves in the step in which its replacement begins to vote, so that
the cluster is at no time weaker than before.

Ids that were removed never come back: their log may hold what nobody else remembers. Who returns is a new member. They are
kept for ever, because nothing that a member could know makes it safe to forget one: the voters of a configuration of long ago,
all of them removed, still are a majority of it, and could lead one another if they came back together with their old
disks. A member that is still here would then take their leader's newer term for one of its own cluster, were they not
barred. What it costs is bounded: 26 bytes in the configuration for each, and no more than `REMOVED_MAX`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import attrs

from swarmtui.raft.configuration import REMOVED_MAX, Configuration, InvalidConfiguration, Member, Promotion
from swarmtui.raft.reasons import Why


class InvalidChange(Exception):
    """A wish that makes no sense for these members: the caller's fault."""

    def __init__(self, why: Why) -> None:
        super().__init__(str(why))
        self.why = why


@attrs.frozen
class AddLearner:
    """Receives the log, never counts."""

    member: Member

    def __str__(self) -> str:
        return f"add learner {self.member.name}"


@attrs.frozen
class AddVoter:
    """Enters as a learner (or is one), and is promoted by the leader when it has caught up."""

    member: Member

    def __str__(self) -> str:
        return f"add voter {self.member.name}"


@attrs.frozen
class Demote:
    """A voter becomes a learner; a learner that was to vote stays one."""

    id: str

    def __str__(self) -> str:
        return f"demote {self.id}"


@attrs.frozen
class Remove:
    """No longer a member, and never again."""

    id: str

    def __str__(self) -> str:
        return f"remove {self.id}"


@attrs.frozen
class Move:
    """Another name or address for the same identity."""

    member: Member

    def __str__(self) -> str:
        return f"move {self.member.name} to {self.member.address}"


Change = AddLearner | AddVoter | Demote | Remove | Move


def subject(change: Change) -> str:
    """The id that a change is about."""
    return change.id if isinstance(change, Demote | Remove) else change.member.id


def next_configuration(current: Configuration, changes: Sequence[Change]) -> Configuration:
    """All of these changes in one step. Raises InvalidChange."""
    if not changes:
        raise InvalidChange(Why("members/nothing"))
    subjects = [subject(change) for change in changes]
    if len(set(subjects)) != len(subjects):
        raise InvalidChange(Why("members/twice", named=" ".join(subjects)))
    if len(current.removed) >= REMOVED_MAX and any(isinstance(change, Remove) for change in changes):
        raise InvalidChange(Why("members/full", removed=len(current.removed), limit=REMOVED_MAX))
    draft = _Draft(current)
    leaving = [change for change in changes if isinstance(change, Demote | Remove) and change.id in draft.voters]
    joining = [change for change in changes if isinstance(change, AddVoter)]
    waiting = leaving[: len(joining)]
    for change in changes:
        if change not in waiting:
            draft.make(change)
    for joins, leaves in zip(joining, waiting, strict=False):
        draft.promotions[joins.member.id] = Promotion(joins.member.id, leaves.id, isinstance(leaves, Demote))
    return draft.finish()


def promoted(current: Configuration, ids: Collection[str]) -> Configuration:
    """These learners vote from now on, and whom they replace leaves. Raises InvalidChange."""
    draft = _Draft(current)
    for id in ids:
        draft.promote(id)
    return draft.finish()


def left(joint: Configuration) -> Configuration:
    """What a joint configuration is left for."""
    return attrs.evolve(joint, outgoing=())


class _Draft:
    """The members while changes are made to them; `finish` chooses the simple or the joint form."""

    def __init__(self, current: Configuration) -> None:
        if current.is_joint:
            raise InvalidChange(Why("members/joint"))
        self.current = current
        self.voters = {member.id: member for member in current.voters}
        self.learners = {member.id: member for member in current.learners}
        self.promotions = {promotion.id: promotion for promotion in current.promotions}
        self.removed = list(current.removed)

    def make(self, change: Change) -> None:
        match change:
            case AddLearner(member):
                self._add(member)
            case AddVoter(member):
                if member.id not in self.learners:
                    self._add(member)
                elif member.id in self.promotions:
                    raise InvalidChange(Why("members/waits", member=member.name))
                else:
                    self.learners[member.id] = member
                self.promotions[member.id] = Promotion(member.id)
            case Demote(id):
                self._demote(id)
            case Remove(id):
                self._remove(id)
            case Move(member):
                self._move(member)

    def _add(self, member: Member) -> None:
        if member.id in self.removed:
            raise InvalidChange(Why("members/removed", member=member.name, id=member.id))
        if member.id in self.voters or member.id in self.learners:
            kind = "voter" if member.id in self.voters else "learner"
            raise InvalidChange(Why("members/there", member=member.name, kind=kind))
        self.learners[member.id] = member

    def _demote(self, id: str) -> None:
        if id in self.voters:
            self.learners[id] = self.voters.pop(id)
            self._let_stay(id)
        elif id in self.promotions:
            del self.promotions[id]
        else:
            name = self._name(id)
            is_learner = id in self.learners
            raise InvalidChange(
                Why("members/there", member=name, kind="learner")
                if is_learner
                else Why("members/stranger", member=name)
            )

    def _remove(self, id: str) -> None:
        if id not in self.voters and id not in self.learners:
            gone = id in self.removed
            raise InvalidChange(Why("members/gone", member=id) if gone else Why("members/stranger", member=id))
        self.voters.pop(id, None)
        self.learners.pop(id, None)
        self.promotions.pop(id, None)
        self._let_stay(id)
        self.removed.append(id)

    def _let_stay(self, id: str) -> None:
        """It has left by itself: no promotion shall make it leave again."""
        for promotion in [wish for wish in self.promotions.values() if wish.instead_of == id]:
            self.promotions[promotion.id] = Promotion(promotion.id)

    def _move(self, member: Member) -> None:
        members = self.voters if member.id in self.voters else self.learners
        if member.id not in members:
            raise InvalidChange(Why("members/stranger", member=f"{member.name} ({member.id})"))
        if members[member.id] == member:
            raise InvalidChange(Why("members/address", member=member.name, address=member.address))
        members[member.id] = member

    def promote(self, id: str) -> None:
        promotion = self.promotions.pop(id, None)
        if promotion is None:
            raise InvalidChange(Why("members/no-wish", member=self._name(id)))
        self.voters[id] = self.learners.pop(id)
        if promotion.instead_of in self.voters:
            if promotion.demotes:
                self._demote(promotion.instead_of)
            else:
                self._remove(promotion.instead_of)

    def finish(self) -> Configuration:
        voters_change = len(self.voters.keys() ^ {member.id for member in self.current.voters})
        try:
            return Configuration(
                voters=tuple(self.voters.values()),
                outgoing=self.current.voters if voters_change > 1 else (),
                learners=tuple(self.learners.values()),
                removed=tuple(self.removed),
                promotions=tuple(self.promotions.values()),
            )
        except InvalidConfiguration as error:
            raise InvalidChange(Why("members/impossible", fault=str(error))) from None

    def _name(self, id: str) -> str:
        member = self.voters.get(id) or self.learners.get(id)
        return member.name if member else id


def why_not_next(current: Configuration, wanted: Configuration) -> str:
    """Why this step could make two leaders; "" if every quorum of the one meets every quorum of the other.

    An independent second look, by which a leader checks what it is about to append.
    """
    voters, outgoing = _ids(current.voters), _ids(current.outgoing)
    wanted_voters, wanted_outgoing = _ids(wanted.voters), _ids(wanted.outgoing)
    if back := set(current.removed) - set(wanted.removed):
        return f"{' '.join(sorted(back))} was removed for ever"
    if outgoing:
        if wanted_voters == voters and wanted_outgoing in (outgoing, frozenset()):
            return ""
        return "a joint configuration can only be left for its new voters"
    if wanted_outgoing:
        return "" if wanted_outgoing == voters else "the outgoing half must be the voters of now"
    changed = len(voters ^ wanted_voters)
    return "" if changed <= 1 else f"{changed} voters change at once: that needs a joint configuration"


def _ids(members: Iterable[Member]) -> frozenset[str]:
    return frozenset(member.id for member in members)
