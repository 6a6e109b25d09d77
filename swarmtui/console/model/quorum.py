"""May the cluster write, and how many more managers may fail: the arithmetic that everything else on the screen serves.

A leaf: numbers and names in, a judgement and its sentence out. N voters need N // 2 + 1 for a write and so tolerate
(N - 1) // 2 failures; every voter that is already missing is one of those.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Sequence

import attrs

from swarmtui.objects.membership import majority


class Health(enum.Enum):
    UNKNOWN = "UNKNOWN"  # nothing answers us: we cannot say
    HEALTHY = "HEALTHY"
    MAY_FAIL = "MAY FAIL"  # shown with its number: `1 MAY FAIL`
    NO_SPARE = "NO SPARE"
    ELECTING = "ELECTING"  # enough voters are up, none of them leads yet
    NO_QUORUM = "NO QUORUM"


@attrs.frozen
class Quorum:
    """`up`: the voters that the leader hears or, with no leader, the most that any side can bring together.
    `held`: a leader hears a quorum, so writes are taken."""

    voters: int
    up: int
    held: bool
    known: bool = True

    @property
    def needed(self) -> int:
        return majority(self.voters)

    @property
    def may_fail(self) -> int:
        """How many more managers may fail before writes stop."""
        return max(0, self.up - self.needed)

    @property
    def health(self) -> Health:
        if not self.known or not self.voters:
            return Health.UNKNOWN
        if self.up < self.needed:
            return Health.NO_QUORUM
        if not self.held:
            return Health.ELECTING
        if self.up == self.needed:
            return Health.NO_SPARE
        return Health.HEALTHY if self.up == self.voters else Health.MAY_FAIL

    @property
    def word(self) -> str:
        if self.health is Health.MAY_FAIL:
            return f"{self.may_fail} MAY FAIL"
        return str(self.health.value)

    @property
    def glyph(self) -> str:
        return _GLYPHS[self.health]

    @property
    def sentence(self) -> str:
        """`5 of 5 up, 3 needed: 2 may fail`."""
        if self.health is Health.UNKNOWN:
            return "no node answers"
        start = f"{self.up} of {self.voters} up, {self.needed} needed: "
        if self.health is Health.NO_QUORUM:
            return start + "no writes"
        if self.health is Health.ELECTING:
            return start + "electing"
        return start + ("none may fail" if not self.may_fail else f"{self.may_fail} may fail")


_GLYPHS = {
    Health.UNKNOWN: "?",
    Health.HEALTHY: "●",
    Health.MAY_FAIL: "◐",
    Health.NO_SPARE: "◔",
    Health.ELECTING: "▲",
    Health.NO_QUORUM: "✗",
}


def largest_side(alive: Iterable[str], cut_pairs: Collection[frozenset[str]]) -> int:
    """The most voters that any living one can reach, itself included, where these pairs cannot speak to one another."""
    living = list(alive)
    return max(
        (sum(1 for other in living if frozenset((one, other)) not in cut_pairs) for one in living),
        default=0,
    )


@attrs.frozen
class Loss:
    """What a step would cost. `before` and `after`: the quorum as it stands and as it would stand. `last_replicas`:
    services of which nothing would run any more, each as `ticker: 1 of 1 running becomes 0`."""

    before: Quorum
    after: Quorum
    last_replicas: tuple[str, ...] = ()

    @property
    def loses_quorum(self) -> bool:
        return self.before.up >= self.before.needed and self.after.up < self.after.needed

    @property
    def is_risky(self) -> bool:
        """True where the step is to be confirmed."""
        return self.loses_quorum or bool(self.last_replicas)


def quorum_without(quorum: Quorum, lost: int) -> Quorum:
    """The quorum after this many of the voters that are up have gone."""
    up = max(0, quorum.up - lost)
    return attrs.evolve(quorum, up=up, held=quorum.held and up >= quorum.needed)


def quorum_of_sides(quorum: Quorum, sides: Sequence[int]) -> Quorum:
    """The quorum after the voters that are up were parted into sides of these sizes."""
    up = max(sides, default=0)
    return attrs.evolve(quorum, up=up, held=up >= quorum.needed)
