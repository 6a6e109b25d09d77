"""Every reason has a rule, its operands and one line; every reason that the core gives is in the table, and says it so.

Method: the table is compared with every place in raft/ that makes a reason (so none can be forgotten, misspelled or given
without its operands), and the effects that carry reasons take nothing else.
"""

from __future__ import annotations

import ast
import inspect
import re
import string
from pathlib import Path
from typing import get_type_hints

import pytest

import swarmtui.raft
from swarmtui.raft import effects
from swarmtui.raft.candidate import Candidate
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import Expelled, Narrate, ReadRefused, Refused, RoleChanged
from swarmtui.raft.inputs import CampaignAsked, Proposed, ReadAsked, Received, TransferAsked
from swarmtui.raft.messages import ReadReply, VoteReply
from swarmtui.raft.reasons import REASONS, Why

ROOM = Path(swarmtui.raft.__file__).parent
LINE_MAX = 200
PLAIN = {"genesis", "only-voter", "malformed/nothing", "malformed/configuration", "transfer/nobody", "no-leader"} | {
    "leader-changed",
    "leader-gone",
    "damaged-snapshot",
    "members/nothing",
    "members/joint",
}  # their rule has no operands: there is nothing that they compare


def made() -> list[tuple[str, str, set[str]]]:
    """Each `Why(...)` of the room: where, its name, and the names of its operands."""
    found = []
    for path in sorted(ROOM.glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Why":
                name = call.args[0]
                if path.name == "reasons.py" and isinstance(name, ast.Name):
                    continue  # what a peer says
                assert isinstance(name, ast.Constant), f"{path.name}:{call.lineno} makes up a name"
                operands = {keyword.arg for keyword in call.keywords if keyword.arg}
                found.append((f"{path.name}:{call.lineno}", name.value, operands))
    return found


def fields(name: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(REASONS[name]) if field}


@pytest.mark.parametrize(
    ("where", "name", "operands"), made(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_reason_is_in_the_table_and_brings_its_operands(where, name, operands):
    assert name in REASONS
    assert fields(name) <= operands
    assert operands or name in PLAIN


@pytest.mark.parametrize("name", REASONS)
def test_reason_is_given_somewhere_and_is_one_line(name):
    given = [operands for _, known, operands in made() if known == name]
    assert given
    why = Why(name, **dict.fromkeys(given[0], 1234567))
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*(/[a-z]+(-[a-z]+)*)?", name)
    assert why.rule == name.split("/")[0]
    assert "\n" not in str(why)
    assert 0 < len(str(why)) <= LINE_MAX


def test_effects_and_steps_take_reasons_and_no_texts():
    for effect in (Refused, ReadRefused, RoleChanged, Expelled):
        assert get_type_hints(effect)["why"] is Why
    for method in (RaftCore.follow, RaftCore.announce, RaftCore.drop):
        assert inspect.signature(method).parameters["why"].annotation == "Why"
    for method in (RaftCore.begin_election, RaftCore.stand, RaftCore.lead, Candidate.__init__):
        assert inspect.signature(method).parameters["cause"].annotation == "Why"
    narrated = [
        (path.name, call.lineno)
        for path in sorted(ROOM.glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", "") == "narrate"
        and {keyword.arg for keyword in call.keywords} & {"reason", "rule", "cause"}
    ]
    assert not narrated, "a reason is given as a Why"


def test_refusals_and_step_downs_of_a_cluster_name_rule_and_operands(trio):
    """A life with most kinds of refusals: each effect says why, with figures, and costs no text before somebody reads it."""
    built = []
    with pytest.MonkeyPatch.context() as patch:
        line = Why.__str__
        patch.setattr(Why, "__str__", lambda why: built.append(why.name) or line(why))
        trio.feed("n2", Proposed(1, 1, (b"x",)))
        trio.feed("n2", ReadAsked(2))
        trio.feed("n1", CampaignAsked())
        trio.feed("n1", Proposed(3, 7, (b"x",)))
        trio.feed("n1", TransferAsked(4, "n1"))
        trio.down.update({"n2", "n3"})
        trio.run(0.6)
        assert not built
    told = {
        id: [e for e in trio.effects[id] if isinstance(e, Refused | ReadRefused | RoleChanged)] for id in ("n1", "n2")
    }
    assert [effect.why.rule for effect in told["n2"][:2]] == ["not-leader", "no-leader"]
    assert [(e.why.rule, dict(e.why.operands)) for e in told["n1"] if isinstance(e, Refused)] == [
        ("wrong-term", {"asked": 7, "mine": 2}),
        ("transfer", {"node": "n1"}),
    ]
    left = told["n1"][-1]
    assert left.why.name == "contact-lost"
    assert left.why.operands == {"heard": "1 of 3", "needed": "2", "patience_ms": 500, "hears": ["n1"]}
    assert left.cause == "lost contact to a quorum: 1 of 3 voters heard within 500 ms, 2 needed"


def refused_vote(trio, why):
    """n1 stands, and n2 refuses it."""
    trio.down.update({"n2", "n3"})
    trio.feed("n1", CampaignAsked())
    term = trio.cores["n1"].term + 1
    reply = VoteReply(cluster="c", source="n2", target="n1", term=term - 1, granted=False, pre=True, why=why)
    trio.feed("n1", Received(reply))
    return next(told for told in trio.told("n1", Narrate) if told.what == "pre-vote refused")


def test_who_asked_for_a_vote_tells_the_rule_and_the_operands_of_the_refusal(trio):
    told = refused_vote(trio, Why("voted", vote="n3", mine=4))
    assert (told.operands, told.why) == ({"by": "n2"}, Why("voted", vote="n3", mine=4))


def test_who_asked_to_read_is_told_the_rule_and_the_operands_of_the_refusal(trio):
    trio.elect()
    follower = next(id for id in trio.cores if id != trio.leader)
    trio.isolate(follower)
    trio.feed(follower, ReadAsked(5))
    (ticket,) = trio.cores[follower].role.forwarded
    head = {"cluster": "c", "source": trio.leader, "target": follower, "term": trio.cores[follower].term}
    why = Why("too-many-reads", waiting=9)
    trio.feed(follower, Received(ReadReply(**head, ticket=ticket, index=0, why=why)))
    assert trio.told(follower, ReadRefused) == [ReadRefused(5, why)]


def test_a_refusal_without_a_reason_is_told_as_one(trio):
    told = refused_vote(trio, None)
    assert str(told) == "pre-vote refused by=n2: n2 gives no reason"


def test_a_narrated_reason_follows_its_figures():
    told = effects.Narrate("election", "vote refused", 3, 9, {"to": "n2"}, Why("voted", vote="n1", mine=3))
    assert str(told) == "vote refused to=n2: voted for n1 in term 3"
