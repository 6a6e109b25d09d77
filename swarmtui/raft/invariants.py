"""What must hold, checked in production: a violation names its rule and operands and stops the node.

Not `assert`, which -O removes. The checks here are cheap enough for every drain; what needs a look at the whole log or at
the whole cluster is checked by the simulator (`swarmtui.sim.invariants`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


class InvariantViolation(Exception):
    """A rule of raft does not hold on this node: it stops rather than spread the damage."""

    def __init__(self, rule: str, **operands: object) -> None:
        self.rule = rule
        self.operands = operands
        super().__init__(f"{rule}: " + " ".join(f"{name}={value}" for name, value in operands.items()))


def require(holds: bool, rule: str, **operands: object) -> None:
    """Raise InvariantViolation unless `holds`."""
    if not holds:
        raise InvariantViolation(rule, **operands)


def check(core: RaftCore) -> None:
    """The order of every marker of one node, and of a leader's view of its peers."""
    log = core.log
    last, durable, commit = log.last, log.durable, log.commit
    if not core.applied <= core.handed <= commit <= last:
        raise InvariantViolation(
            "applied <= handed <= commit <= last", applied=core.applied, handed=core.handed, commit=commit, last=last
        )
    if not core.handed <= durable <= last:
        raise InvariantViolation("handed <= durable <= last", handed=core.handed, durable=durable, last=last)
    if core.snapshot is not None and not log.base <= core.snapshot.index <= core.applied:
        raise InvariantViolation(
            "base <= snapshot <= applied", base=log.base, snapshot=core.snapshot.index, applied=core.applied
        )
    members = core.members
    if members.index > commit and members.previous is not members.current and members.previous_index > commit:
        raise InvariantViolation(
            "one change of members at a time", previous=members.previous_index, current=members.index, commit=commit
        )
    for peer, progress in core.progress.items():
        if not progress.match < progress.next <= last + 1:
            raise InvariantViolation(
                "match < next <= last + 1", peer=peer, match=progress.match, next=progress.next, last=last
            )
