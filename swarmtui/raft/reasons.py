"""Why: every reason for which something is refused, dropped, or a role is taken or left, with its operands.

One table holds them all. A reason is made from its name and the operands of its rule, which is cheap; its line of text is
built only for whoever reads it. `rule` is the part of the name before the stroke: fixed names by which callers decide what
to do (`not-leader`: ask elsewhere), while what follows the stroke tells cases of one rule apart.

A leaf: names and numbers, nothing of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

SAID_LENGTH_MAX = 200  # of a reason that this version does not know

REASONS: Mapping[str, str] = {
    # a role is taken
    "genesis": "first manager of a new cluster",
    "timer": "timer ran out ({timer_ms} ms)",
    "only-voter": "the only voter",
    "dial-refused": "connection to leader refused, {left_ms} ms left on the timer",
    "transfer-asked": "asked by transfer",
    "leader-heard": "heard from leader {leader}",
    "made-voter": "made a voter",
    # a role is left
    "newer-term": "saw term {seen} of {of}",
    "newer-term/candidate": "saw term {seen} of candidate {of}",
    "election-lost": "lost the election, {refused} of {voters} refused",
    "contact-lost": "lost contact to a quorum: {heard} voters heard within {patience_ms} ms, {needed} needed",
    "disk-hangs": "own disk completed no write for {patience_ms} ms",
    "voter-no-more": "no longer a voter",
    "voter-no-more/leader": "removed from the voters",
    "removed": "removed from the members by the configuration of index {index}",
    "removed/told": "{by} says: removed by the configuration of index {index}",
    # a campaign is not begun
    "no-voter": "{node} is no voter",
    "installing": "the snapshot up to {index} is being installed",
    # a vote or pre-vote is refused
    "living-leader": "{voter} hears {leader}, {age_ms} ms ago",
    "living-leader/itself": "{voter} leads with a quorum, {age_ms} ms ago",
    "rival": "{rival} stands in term {mine}",
    "old-term/pre-vote": "term {asked} is not new, mine is {mine}",
    "old-term/vote": "term {asked} is over, mine is {mine}",
    "voted": "voted for {vote} in term {mine}",
    "log-behind": "its log ends at {its_last}/t{its_term}, mine at {my_last}/t{my_term}",
    "peer-says": "{said}",
    "no-reason": "{by} gives no reason",
    # a proposal, a transfer or a change of members is refused
    "not-leader": "{node} does not lead, the leader is {leader}",
    "not-leader/unknown": "{node} does not lead, no leader is known",
    "wrong-term": "asked for term {asked}, this node leads term {mine}",
    "overload": "{waiting_bytes} bytes wait, at most {limit_bytes}",
    "malformed/nothing": "nothing is proposed",
    "malformed/entry": "an entry of {entry_bytes} bytes, at most {limit_bytes}",
    "malformed/configuration": "members are changed by wishes, not by configurations",
    "no-quorum": "{answering} managers answer, {needed} are needed",
    "transfer": "leadership is being handed to {heir}",
    "transfer/again": "leadership is being handed to {heir} already",
    "transfer/itself": "{node} leads already",
    "transfer/silent": "{heir} is no voter in contact to hand over to",
    "transfer/nobody": "no voter to hand over to is in contact",
    "transfer/late": "{heir} did not take over within {patience_ms} ms",
    "own-term": "index {index}, this leader's first, is not committed",
    "in-flight": "the change at index {index} is not committed",
    "in-flight/joint": "the joint configuration of index {index} is not left",
    "quorum": (
        "{when} this change a majority is {needed} of {voters} voters ({names}), and {answer} of them answer: {answering}"
    ),
    "leader-leaves": "{leader} leads and would leave: leadership is being handed to {heir}, ask again there",
    "leader-leaves/nobody": "{leader} leads and would leave, and no voter that stays is in contact to take over",
    "members/nothing": "nothing is to be changed",
    "members/twice": "a member is named twice: {named}",
    "members/joint": "a joint configuration is left before anything else changes",
    "members/waits": "{member} is to vote already, once it has caught up",
    "members/removed": "{member} ({id}) was removed; it can only return as a new member",
    "members/there": "{member} is a {kind} already",
    "members/stranger": "{member} is no member",
    "members/gone": "{member} is no member, it was removed",
    "members/full": "{removed} members were removed for ever, and no more than {limit} are remembered",
    "members/address": "{member} is at {address} already",
    "members/no-wish": "{member} was not to vote",
    "members/impossible": "{fault}",
    "catch-up/slow": "the last of {rounds} rounds took {took_ms} ms; it stays a learner for now",
    "catch-up/silent": "no answer for {patience_ms} ms; it stays a learner for now",
    # a read is refused
    "no-leader": "no leader is known",
    "leader-silent": "leader {leader} did not answer in time",
    "leader-changed": "the leader changed",
    "leader-gone": "the leader is gone",
    "leadership-lost": "leadership was lost",
    "too-many-reads": "{waiting} reads wait already",
    # an Append or a snapshot is refused
    "entries-gone": "it acknowledged {acknowledged}, and its log agrees up to {kept}",
    "conflict": "entry {index} is of term {asked} there, of {here} here; the logs may agree at {go_on_at}",
    "old-term/leader": "term {asked} is over, mine is {mine}",
    "damaged-snapshot": "the whole does not agree with its checksum",
    # a message is dropped
    "another-cluster": "of cluster {cluster}",
    "another-addressee": "for {target}",
    "malformed/message": "malformed, term {term}",
    "barred": "its sender was removed",
    "malformed/entries": "entries do not follow one another",
    "overload/apply": "{waiting_bytes} bytes wait to be applied, at most {limit_bytes}",
    "impossible-match": "acknowledges {match}, our log ends at {last}",
    "damaged-piece": "piece at {offset} is damaged",
}
"""Every reason by name: its line, in which the operands of its rule stand."""


@attrs.frozen(init=False)
class Why:
    """`Why("timer", timer_ms=812)`: a rule and its operands; `str()` is the one line."""

    name: str
    operands: Mapping[str, Any]

    def __init__(self, name: str, /, **operands: Any) -> None:
        self.__attrs_init__(name, operands)

    @property
    def rule(self) -> str:
        return self.name.partition("/")[0]

    def __str__(self) -> str:
        return REASONS[self.name].format(**self.operands)


def heard(name: str, operands: Mapping[str, Any]) -> Why:
    """The reason that a peer gives. One that this version has no line for is passed on as the peer said it."""
    why = Why(name, **operands)
    try:
        str(why)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError):
        figures = " ".join(f"{key}={value}" for key, value in operands.items())
        return Why("peer-says", said=f"{name} {figures}".rstrip()[:SAID_LENGTH_MAX])
    return why
