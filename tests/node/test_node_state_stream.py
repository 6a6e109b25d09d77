"""The state for a backup: only what a quorum vouches for, unless a stale one is asked for."""

from types import SimpleNamespace

import pytest

from swarmtui.node.state_stream import stream_state
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store
from swarmtui.wire.rpc import CallRejected


class Unvouched:
    """Reads of a manager that has lost the others."""

    async def confirm(self, patience_s: float) -> str:
        return "1 of 3 managers answer"


@pytest.fixture
def consensus():
    store = Store()
    store.apply(1, 1, encode_transactions([encode(Transaction((Put("color", b"green", None),)))], 1.0))
    return SimpleNamespace(reads=Unvouched(), store=store)


async def test_without_a_quorum_there_is_no_state(consensus):
    pieces = stream_state(consensus, 0.1, lambda frozen: None)
    with pytest.raises(CallRejected, match="1 of 3 managers answer"):
        await anext(pieces)


async def test_a_stale_state_is_what_was_applied_here(consensus):
    let_go = []
    pieces = [piece async for piece in stream_state(consensus, 0.1, let_go.append, stale=True)]
    assert {(piece.index, piece.term) for piece in pieces} == {(1, 1)}
    assert [piece.last for piece in pieces[-2:]] == [False, True]
    restored = Store()
    restored.restore(piece.data for piece in pieces if not piece.last)
    assert restored.get(KeyValue, "color").value == b"green"
    assert len(let_go) == 1
