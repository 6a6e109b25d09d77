"""What can go wrong, by blame: one class each, one line that says what happened and what to do next, one exit code.

1 refused or failed, nothing changed    3 outcome unknown    4 no cluster or no quorum, try later
"""

from __future__ import annotations

from swarmtui.objects.operations import Verdict
from swarmtui.wire.node_calls import Fate, Outcome
from swarmtui.wire.rules import NO_LEADER, NO_QUORUM

REFUSED, UNKNOWN, TRY_LATER = 1, 3, 4


class ClientError(Exception):
    """Anything that kept an order from being done."""

    exit_code = REFUSED


class Refused(ClientError):
    """Certainly not done. `rule` is a short fixed name."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


class Conflict(Refused):
    """Not at the expected version: somebody else was first. Read it again and decide anew."""

    def __init__(self, expected: int | None, found: int | None, reason: str) -> None:
        super().__init__("conflict", reason)
        self.expected = expected
        self.found = found


class NoQuorum(ClientError):
    """Too few managers answer for anything to be written. Running tasks go on."""

    exit_code = TRY_LATER

    def __init__(self, reachable: int, needed: int, voters: int, *, instead: str = "") -> None:
        """`instead`: what can be done without one."""
        missing = max(1, needed - reachable)
        more = "one more manager" if missing == 1 else f"{missing} more managers"
        super().__init__(
            f"no quorum: {reachable} of {voters} managers answer, {needed} are needed; running tasks go on; "
            f"start {more} (swarmtui start NAME, swarmtui heal)" + (f", or {instead}" if instead else "")
        )
        self.reachable, self.needed, self.voters = reachable, needed, voters


class NoLeader(ClientError):
    """Enough managers answer, but they have not elected a leader yet."""

    exit_code = TRY_LATER


class Unknown(ClientError):
    """Sent, again and again, and not answered in time: it may have happened or may happen yet."""

    exit_code = UNKNOWN


class NotReached(ClientError):
    """A node does not answer. `refused`: nobody listens at its address, which is more than silence."""

    exit_code = TRY_LATER

    def __init__(self, node: str, reason: str, *, refused: bool = False) -> None:
        super().__init__(f"{node} does not answer: {reason}; see swarmtui status")
        self.node = node
        self.reason = reason
        self.refused = refused


class NoHost(ClientError):
    """The cluster's host does not run, so nothing of this cluster runs on this machine."""

    exit_code = TRY_LATER


class NoCluster(ClientError):
    """No cluster is meant by what was said, or none is here."""

    exit_code = TRY_LATER


def error_of(outcome: Outcome) -> ClientError:
    """The outcome of what was not done, as the error to raise."""
    if outcome.fate is Fate.UNKNOWN:
        return Unknown(f"outcome unknown: {outcome.reason}")
    if outcome.rule == NO_QUORUM:
        return NoQuorum(outcome.reachable, outcome.needed, outcome.voters)
    if outcome.rule == NO_LEADER:
        return NoLeader(outcome.reason)
    result = outcome.result
    if result is not None and result.verdict is Verdict.CONFLICT:
        return Conflict(result.expected, result.found, result.text)
    return Refused(outcome.rule, outcome.reason)
