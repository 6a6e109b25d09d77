"""What a manager answers to whoever reads from a quorum: at once, unconfirmed, with its word."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarmtui.node.answers import Answers
from swarmtui.objects.codec import encode
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.states import NodeRole
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.attestation import Attestation
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.wire.key_calls import ASKED_TOGETHER_MAX, Attest, GetKeys, KeyRows
from swarmtui.wire.rpc import CallRejected
from tests.node.conftest import UNWIRED, newborn

THREE = Configuration(tuple(Member(id, f"n{id}", f"127.0.0.1:{n}") for n, id in enumerate(("a", "b.1", "c"), 1)))


def answers(manager: object) -> Answers:
    nothing = cast(Any, None)
    entry = NodeEntry(id="a", name="n1", role=NodeRole.MANAGER, address="127.0.0.1:1")
    return Answers(entry, 0.5, 1.0, nothing, nothing, nothing, nothing, nothing, nothing, cast(Any, manager))


def at_once(pending) -> object:
    told: list[object] = []
    pending.then(told.append)
    return told[0]


@pytest.fixture
async def follower():
    consensus = newborn(THREE)
    consensus._wiring = UNWIRED
    return consensus


async def test_rows_are_given_with_a_word_and_nobody_is_asked(follower):
    follower.store.apply(1, 1, encode_transactions([encode(Transaction((Put("color", b"red"),)))], 1.0))
    asked = answers(SimpleNamespace(consensus=follower))(GetKeys(("color", "shape"), asked=("a", "b")), None)
    rows = at_once(asked)
    assert isinstance(rows, KeyRows)
    assert (rows.index, rows.attestation) == (1, Attestation("a", 1))
    assert [row and row.value for row in rows.rows] == [b"red", None]
    assert not follower.core.has_effects


async def test_as_many_rows_are_given_as_one_answer_has_room_for(follower, monkeypatch):
    puts = [encode(Transaction((Put(key, bytes(10)),))) for key in "abc"]
    follower.store.apply(1, 1, encode_transactions(puts, 1.0))
    ask = answers(SimpleNamespace(consensus=follower))
    for room, given in ((100, "axbc"), (30, "axbc"), (29, "axb"), (20, "axb"), (19, "ax"), (1, "a")):
        monkeypatch.setattr("swarmtui.node.answers.KEYS_BYTES_MAX", room)
        rows = at_once(ask(GetKeys(tuple("axbc"), asked=("a", "b")), None))
        assert [row and row.id for row in rows.rows] == [None if key == "x" else key for key in given]
        assert rows.refused == ""


async def test_a_node_is_known_by_its_own_id_whatever_member_it_is(follower, monkeypatch):
    monkeypatch.setattr(follower.core, "quorum_among", lambda asked: tuple(asked))
    assert at_once(answers(SimpleNamespace(consensus=follower))(Attest(("a", "b")), None)).quorum == ("a", "b.1")


async def test_a_worker_has_no_word_and_a_crowd_is_refused(follower):
    for call in (Attest(("a",)), GetKeys(("k",), asked=("a",))):
        with pytest.raises(CallRejected, match="worker"):
            answers(None)(call, None)
    crowd = tuple(map(str, range(ASKED_TOGETHER_MAX + 1)))
    for call in (Attest(crowd), GetKeys(("k",), asked=crowd)):
        with pytest.raises(CallRejected) as refused:
            answers(SimpleNamespace(consensus=follower))(call, None)
        assert refused.value.rule == "too-many"
