"""Who is a member: the configuration that an entry of the log carries, and that is in force as soon as it is appended.

Joint configurations are expressible from the first format on: while `outgoing` is not empty, elections and commits need a
majority of `voters` *and* of `outgoing` (dissertation, chapter 4). A learner receives the log and never counts. Who is in
`outgoing` and no longer in `voters` becomes a learner, or is gone, when the joint configuration is left. `changes.py` makes
the next configuration of a wish.
"""

from __future__ import annotations

import attrs
import cattrs
import msgspec

CONFIGURATION_FORMAT = 1
MEMBERS_MAX = 31
REMOVED_MAX = 100_000  # ids that are kept for ever: of 26 bytes each, so that the whole fits into an entry


class InvalidConfiguration(Exception):
    """A configuration that cannot be: the operator's or a proposer's fault."""


@attrs.frozen(order=True)
class Member:
    """`id` is the identity for ever; `name` and `address` may change."""

    id: str
    name: str
    address: str


@attrs.frozen(order=True)
class Promotion:
    """A learner that shall vote as soon as it has caught up. `instead_of` is the voter that leaves in the same step ("":
    none); `demotes`: it stays, as a learner."""

    id: str
    instead_of: str = ""
    demotes: bool = False


def _sorted_members(members: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(sorted(members))


def _by_name(members: tuple[Member, ...]) -> list[Member]:
    """As people read them: n2 before n10."""
    return sorted(members, key=lambda member: (len(member.name), member.name))


@attrs.frozen
class Configuration:
    """Members by role, sorted by id, each list without repetition; `removed` are ids that may never speak again;
    `promotions` are wishes that whoever leads fulfils by itself."""

    voters: tuple[Member, ...] = attrs.field(converter=_sorted_members)
    outgoing: tuple[Member, ...] = attrs.field(default=(), converter=_sorted_members)
    learners: tuple[Member, ...] = attrs.field(default=(), converter=_sorted_members)
    removed: tuple[str, ...] = ()
    promotions: tuple[Promotion, ...] = ()

    def __attrs_post_init__(self) -> None:
        for what, members in (("voters", self.voters), ("outgoing", self.outgoing), ("learners", self.learners)):
            ids = [member.id for member in members]
            if len(set(ids)) != len(ids):
                raise InvalidConfiguration(f"{what} names an id twice: {ids}")
        if not self.voters:
            raise InvalidConfiguration("a configuration needs at least one voter")
        staying = {member.id for member in self.voters}
        learners = {learner.id for learner in self.learners}
        if staying & learners:
            raise InvalidConfiguration("a learner cannot be a voter as well")
        if gone := (staying | learners) & set(self.removed):
            raise InvalidConfiguration(f"{' '.join(sorted(gone))} was removed and cannot come back")
        wishes = [promotion.id for promotion in self.promotions]
        if not learners.issuperset(wishes) or len(set(wishes)) != len(wishes):
            raise InvalidConfiguration(f"only learners are promoted, each once, not {' '.join(wishes)}")
        if len(self.members) > MEMBERS_MAX:
            raise InvalidConfiguration(f"{len(self.members)} members, at most {MEMBERS_MAX}")

    @property
    def gone(self) -> frozenset[str]:
        """Who was removed, and has no part any more: the outgoing half of a joint configuration still speaks and votes."""
        return frozenset(self.removed) - {member.id for member in self.members}

    @property
    def voter_ids(self) -> tuple[str, ...]:
        """Ids of all who vote, both halves of a joint configuration, sorted."""
        return tuple(sorted({member.id for member in (*self.voters, *self.outgoing)}))

    @property
    def is_joint(self) -> bool:
        return bool(self.outgoing)

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody who receives the log, sorted by id."""
        by_id = {member.id: member for member in (*self.outgoing, *self.voters, *self.learners)}
        return tuple(by_id[id] for id in sorted(by_id))

    def member(self, id: str) -> Member | None:
        return next((member for member in self.members if member.id == id), None)

    def __str__(self) -> str:
        text = "voters " + " ".join(member.name for member in _by_name(self.voters))
        if self.outgoing:
            text += " outgoing " + " ".join(member.name for member in _by_name(self.outgoing))
        if self.learners:
            wishes = {promotion.id: promotion for promotion in self.promotions}
            learners = _by_name(self.learners)
            text += " learners " + " ".join(member.name + self._wish(wishes.get(member.id)) for member in learners)
        return text

    def _wish(self, promotion: Promotion | None) -> str:
        """How a learner that is to vote is marked: `n4+`, or with the voter that it replaces `n4+(for n3)`."""
        if promotion is None:
            return ""
        leaving = self.member(promotion.instead_of)
        return f"+(for {leaving.name})" if leaving else "+"


_converter = cattrs.Converter()


def encode_configuration(configuration: Configuration) -> bytes:
    return msgspec.msgpack.encode([CONFIGURATION_FORMAT, _converter.unstructure(configuration)])


def decode_configuration(data: bytes) -> Configuration:
    """Raises InvalidConfiguration."""
    try:
        version, body = msgspec.msgpack.decode(data)
        if version == CONFIGURATION_FORMAT:
            return _converter.structure(body, Configuration)
    except InvalidConfiguration:
        raise
    except Exception as error:
        raise InvalidConfiguration(f"not a configuration: {error!r}") from None
    raise InvalidConfiguration(f"configuration format {version}, this version reads {CONFIGURATION_FORMAT}")
