"""Scenarios of docs/raft.md that are the store's: what a client sends again is applied once, and what was forgotten never."""

from __future__ import annotations

from swarmtui.objects import codec
from swarmtui.objects.operations import Put, Result, Transaction, Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store
from swarmtui.store.sessions import SESSION_IDLE_S

SESSION = 2**62 + 5
SWAP = Transaction((Put("lock", b"mine", 0),), SESSION, 1, 1, 1)  # (session, serial 1, lowest 1, since 1)


Entry = tuple[int, bytes]  # its term and its data


def entry(time: float, *transactions: Transaction, term: int = 2) -> Entry:
    return term, encode_transactions([codec.encode(transaction) for transaction in transactions], time)


def replica(entries: list[Entry], snapshot: bytes = b"") -> tuple[Store, list[list[Result]]]:
    """A store that begins from a snapshot, if there is one, and applies these entries behind it; their results."""
    store = Store()
    if snapshot:
        store.restore([snapshot])
    return store, [store.apply(store.index + 1, term, data) for term, data in entries]


def test_S51_request_sent_again_is_applied_once():
    """Given a client that does not know what became of its request, when it sends the very same again, after a change of
    leader (the entry stands in the log a second time, in a later term), a snapshot and a restart (the log is replayed),
    then it is applied once, and the first result is the answer each time, on every replica."""
    entries = [entry(1.0, Transaction((Put("first", b""),))), entry(2.0, SWAP)]
    store, (_, (first,)) = replica(entries)
    assert first == Result(Verdict.DONE, 2)
    other = Transaction((Put("lock", b"another's"),))
    again = [entry(3.0, SWAP, term=3), entry(4.0, other, term=3), entry(5.0, SWAP, term=4)]
    results = [store.apply(store.index + 1, term, data)[0] for term, data in again]
    assert results == [first, Result(Verdict.DONE, 4), first]
    snapshot = b"".join(store.freeze().chunks())
    last = entry(6.0, SWAP, term=5)
    from_snapshot, (answer,) = replica([last], snapshot)
    replayed, answers = replica([*entries, *again, last])
    assert answer == answers[-1] == [first]
    for each in (from_snapshot, replayed):
        lock = each.get(KeyValue, "lock")
        assert lock is not None
        assert (lock.value, lock.version) == (b"another's", 4)
    assert from_snapshot.digest() == replayed.digest()


def test_S52_request_of_a_forgotten_session_is_refused_everywhere():
    """Given a session that expired, or that nobody opened, when a request of it comes, then every replica refuses it at the
    same place of the log, with the same words, and none applies it: also one that began from a snapshot, and whatever
    its clock says."""
    late = 3.0 + SESSION_IDLE_S
    unknown = Transaction((Put("lock", b"stolen"),), SESSION + 1, 7, 1, 0)
    before = [entry(1.0, Transaction((Put("first", b""),))), entry(2.0, SWAP)]
    after = [entry(late, Transaction((Put("tick", b""),))), entry(late, SWAP), entry(late, unknown)]
    whole, answers = replica([*before, *after])
    early, _ = replica(before)
    from_snapshot, answers_behind = replica(after, b"".join(early.freeze().chunks()))
    assert answers[2:] == answers_behind
    assert [answer[0].verdict for answer in answers] == [*[Verdict.DONE] * 3, *[Verdict.EXPIRED] * 2]
    assert "is not known, or not any more" in answers[3][0].text
    assert whole.digest() == from_snapshot.digest()
    lock = whole.get(KeyValue, "lock")
    assert lock is not None
    assert (lock.value, lock.version) == (b"mine", 2)
