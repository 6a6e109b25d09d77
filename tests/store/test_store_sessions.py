"""Client sessions: whatever is sent again happens once; what is forgotten is refused, alike everywhere, and never happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmtui.objects import codec
from swarmtui.objects.operations import SESSION_RESULTS_MAX, Create, Put, Remove, Result, Transaction, Verdict
from swarmtui.objects.records import KeyValue, Secret
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import MalformedSnapshot, Store
from swarmtui.store import sessions as module
from swarmtui.store.sessions import SESSION_IDLE_S, SESSION_TEXT_MAX, SESSIONS_MAX

if TYPE_CHECKING:
    from .conftest import Log

SESSION = 2**63 + 11


def request(serial: int, *operations: object, lowest: int = 0, since: int = 1, session: int = SESSION) -> Transaction:
    return Transaction(operations or (Put("k", b"%d" % serial),), session, serial, lowest, since)  # type: ignore[arg-type]


@pytest.fixture
def begun(log: Log) -> Log:
    """A log of one entry, so that there is an index that a client can have seen."""
    log.do(Put("first", b""))
    return log


# -------------------------------------------------------------------------------------------------------- applied once


def test_a_repeat_is_answered_with_the_first_result_and_changes_nothing(begun: Log) -> None:
    (first,) = begun.entry(request(1))
    begun.do(Put("k", b"another's"))
    watch = begun.store.watch()
    (again,) = begun.entry(request(1))
    assert again == first == Result(Verdict.DONE, 2)
    assert watch.take() == []
    found = begun.store.get(KeyValue, "k")
    assert found is not None
    assert (found.value, found.version) == (b"another's", 3)


def test_a_compare_and_swap_that_succeeded_does_not_conflict_with_itself(begun: Log) -> None:
    swap = request(1, Put("lock", b"mine", 0))
    assert begun.entry(swap) == begun.entry(swap) == [Result(Verdict.DONE, 2)]


def test_a_refusal_is_kept_as_well(begun: Log) -> None:
    swap = request(1, Put("lock", b"mine", 7))
    (first,) = begun.entry(swap)
    begun.do(Put("lock", b"", 0))
    begun.raw(encode_transactions([], 0.0))
    assert begun.entry(swap) == [first]
    assert (first.verdict, first.expected, first.found) == (Verdict.CONFLICT, 7, 0)


def test_any_operation_may_be_repeated(begun: Log) -> None:
    create = request(1, Create(Secret(id="s1", name="token")))
    delete = request(2, Remove("secret", "s1"))
    for asked, verdict in (
        (create, Verdict.DONE),
        (create, Verdict.DONE),
        (delete, Verdict.DONE),
        (delete, Verdict.DONE),
    ):
        assert begun.entry(asked)[0].verdict is verdict
    assert begun.store.count(Secret) == 0


def test_both_copies_may_stand_in_one_entry(begun: Log) -> None:
    assert begun.entry(request(1), request(1)) == [Result(Verdict.DONE, 2)] * 2


def test_requests_arrive_in_any_order(begun: Log) -> None:
    results = begun.entry(*(request(serial, Put(f"k{serial}", b"")) for serial in (3, 1, 2)))
    assert [result.verdict for result in results] == [Verdict.DONE] * 3
    assert [pair.id for pair in begun.store.keys("k")] == ["k1", "k2", "k3"]


def test_what_one_call_brought_is_let_in_together_and_a_repeat_of_any_of_it_is_one(begun: Log) -> None:
    first = [request(serial, Put(f"k{serial}", b"")) for serial in (1, 2, 3)]
    assert begun.entry(*first) == [Result(Verdict.DONE, 2)] * 3
    again = [request(serial, Put(f"k{serial}", b"again")) for serial in (2, 3, 4, 5)]
    assert [result.index for result in begun.entry(*again)] == [2, 2, 3, 3]
    assert [pair.version for pair in begun.store.keys("k")] == [2, 2, 2, 3, 3]


def test_a_repeat_that_comes_behind_a_new_one_of_its_call_is_known_too(begun: Log) -> None:
    assert begun.entry(request(2, Put("k2", b""))) == [Result(Verdict.DONE, 2)]
    together = [request(serial, Put(f"k{serial}", b"again")) for serial in (1, 2, 3)]
    assert [result.index for result in begun.entry(*together)] == [3, 2, 3]
    assert [pair.version for pair in begun.store.keys("k")] == [3, 2, 3]


def test_a_conflict_among_what_one_call_brought_is_kept_as_that_of_one(begun: Log) -> None:
    asked = [request(1, Put("a", b"")), request(2, Put("b", b"", 9)), request(3, Put("c", b""))]
    first = begun.entry(*asked)
    assert [result.verdict for result in first] == [Verdict.DONE, Verdict.CONFLICT, Verdict.DONE]
    begun.do(Put("b", b""))
    assert begun.entry(*asked) == first


def test_a_call_whose_results_do_not_fit_loses_the_older_half_as_one_by_one(begun: Log) -> None:
    half = SESSION_RESULTS_MAX // 2
    for first in (1, half + 1, 2 * half + 1):
        begun.entry(*(request(serial, Put(f"{serial}", b"")) for serial in range(first, first + half)))
    (kept,) = begun.store._sessions.freeze().sessions
    assert len(kept[4]) <= SESSION_RESULTS_MAX
    refused(begun, request(half, Put("late", b"")), "was answered before")
    assert begun.entry(request(2 * half + 1))[0].index == 4


def test_sessions_do_not_know_of_each_other(begun: Log) -> None:
    begun.entry(request(1, Put("k", b"a"), session=5))
    assert begun.entry(request(1, Put("k", b"b"), session=6)) == [Result(Verdict.DONE, 3)]


# ------------------------------------------------------------------------------------------------------------ refusals


def refused(log: Log, asked: Transaction, match: str) -> None:
    watch = log.store.watch()
    (result,) = log.entry(asked)
    assert result.verdict is Verdict.EXPIRED
    assert match in result.text
    assert watch.take() == []


def test_an_unknown_session_is_refused_unless_it_may_be_opened(begun: Log) -> None:
    refused(begun, request(1, since=0), "is not known")
    refused(begun, request(1, since=99), "is not known")  # nobody can have seen that yet
    assert begun.entry(request(1, since=begun.store.index))[0].verdict is Verdict.DONE
    assert begun.entry(request(2, since=0))[0].verdict is Verdict.DONE


def test_what_the_client_has_its_answer_to_is_discarded_and_refused(begun: Log) -> None:
    begun.entry(request(1))
    begun.entry(request(2, lowest=2))
    refused(begun, request(1), "was answered before")
    assert begun.entry(request(2))[0].index == 3


def test_a_client_that_claims_to_have_answers_of_the_future_harms_only_itself(begun: Log) -> None:
    begun.entry(request(5, lowest=2**63))
    assert begun.entry(request(5))[0].verdict is Verdict.DONE
    refused(begun, request(4), "was answered before")


def test_an_idle_session_expires_by_the_time_of_entries_and_never_comes_back(begun: Log) -> None:
    begun.entry(request(1))
    begun.time += SESSION_IDLE_S - 2
    assert begun.entry(request(1))[0].index == 2
    begun.time += SESSION_IDLE_S + 1
    refused(begun, request(1), "is not known")
    refused(begun, request(2), "is not known")
    assert begun.entry(request(1, session=77, since=begun.store.index))[0].verdict is Verdict.DONE


def test_a_leader_whose_clock_stands_back_expires_nothing(begun: Log) -> None:
    begun.entry(request(1))
    begun.time -= 10 * SESSION_IDLE_S
    assert begun.entry(request(1))[0].index == 2


def test_the_sessions_used_last_are_kept(begun: Log) -> None:
    begun.entry(request(1, session=1))
    begun.entry(*(request(1, Put(f"{number}", b""), session=number) for number in range(2, SESSIONS_MAX + 1)))
    begun.entry(request(2, session=1))  # used again
    since = begun.store.index
    begun.entry(request(1, session=SESSIONS_MAX + 1, since=since))
    assert begun.entry(request(1, session=1))[0].index == 2
    refused(begun, request(1, session=2), "is not known")
    assert len(begun.store._sessions) == SESSIONS_MAX


def test_a_session_with_too_many_results_loses_the_older_half(begun: Log) -> None:
    begun.entry(*(request(serial, Put(f"{serial}", b"")) for serial in range(1, SESSION_RESULTS_MAX + 2)))
    refused(begun, request(1), "was answered before")
    assert begun.entry(request(SESSION_RESULTS_MAX + 1))[0].index == 2


def test_a_session_with_too_long_texts_loses_results(begun: Log) -> None:
    for serial in range(1, 1_500):
        begun.entry(request(serial, Put("lock", b"", 7)))
    (session,) = begun.store._sessions.freeze().sessions
    texts = [len(kept.text) for kept in session[4].values() if isinstance(kept, Result)]
    assert SESSION_TEXT_MAX / 3 < sum(texts) <= SESSION_TEXT_MAX
    assert begun.store._sessions._by_id[SESSION].text == sum(texts)


def test_results_of_all_sessions_are_bounded(begun: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESULTS_MAX", 5)
    for session in (1, 2, 3):
        begun.entry(*(request(serial, Put(f"{session}-{serial}", b""), session=session) for serial in (1, 2)))
    refused(begun, request(1, session=1), "is not known")
    assert begun.entry(request(1, session=2))[0].index == 3


# ----------------------------------------------------------------------------------------------------------- snapshots


def restored(log: Log) -> Log:
    other = type(log)()
    other.time = log.time
    other.store.restore(log.store.freeze().chunks())
    return other


def test_sessions_are_in_the_snapshot(begun: Log) -> None:
    begun.entry(request(1), request(2, Put("lock", b"", 9)))
    begun.entry(request(1, session=7))
    begun.time += SESSION_IDLE_S
    begun.entry(request(1, Put("other", b""), session=8))
    after = restored(begun)
    assert after.store.digest() == begun.store.digest()
    for asked in (request(1), request(2, Put("lock", b"", 9)), request(1, session=8), request(3)):
        assert begun.entry(asked) == after.entry(asked)
    refused(after, request(1, session=7), "is not known")
    assert after.store.digest() == begun.store.digest()


def test_the_digest_knows_sessions(begun: Log) -> None:
    other = restored(begun)
    begun.entry(request(1, Put("k", b"")))
    other.entry(Transaction((Put("k", b""),)))
    assert other.store.digest() != begun.store.digest()


@pytest.mark.parametrize(
    "row", [[1], [1, 1, 1.0, 1, [[1, "x"]]], ["1", 1, 1.0, 1, []], [1, 1, 1.0, 1, [[1, ["no", 1]]]]]
)
def test_a_snapshot_with_a_bad_session_is_refused(begun: Log, row: object) -> None:
    chunks = list(begun.store.freeze().chunks())
    from swarmtui.store.snapshot import _block

    with pytest.raises(MalformedSnapshot, match="sessions"):
        Store().restore([chunks[0], _block("sessions", [row]), *chunks[1:]])


# ------------------------------------------------------------------------------------------- any log, against an oracle


@attrs.frozen
class Asked:
    session: int
    serial: int
    lowest: int
    elapsed: float


@attrs.define
class Known:
    """The oracle's session: every result it ever had, and where forgetting has come to."""

    since: int
    used: float
    lowest: int = 1
    results: dict[int, Result] = attrs.field(factory=dict)


class Oracle:
    """The rules of the docstring of `store.sessions`, in the plainest way: lists, searched from end to end."""

    def __init__(self, idle_s: float, sessions_max: int, results_max: int, session_results_max: int) -> None:
        self.idle_s, self.sessions_max = idle_s, sessions_max
        self.results_max, self.session_results_max = results_max, session_results_max
        self.known: list[tuple[int, Known]] = []
        self.forgotten: list[int] = [0]  # what they had seen
        self.clock = 0.0

    def forget(self, position: int) -> None:
        self.forgotten.append(self.known.pop(position)[1].since)

    def begin(self, time: float) -> None:
        self.clock = max(self.clock, time)
        while self.known and self.known[0][1].used + self.idle_s < self.clock:
            self.forget(0)

    def judge(self, asked: Asked, since: int, index: int) -> Result | None:
        """The result of a repeat or a refusal; None: it is to be applied."""
        at = [position for position, (id, _) in enumerate(self.known) if id == asked.session]
        if not at:
            if since > index or since <= max(self.forgotten):
                return Result(Verdict.EXPIRED, index)
            self.known.append((asked.session, Known(since, self.clock)))
            if len(self.known) > self.sessions_max:
                self.forget(0)
        elif self.known[at[0]][1].used != self.clock:
            self.known.append(self.known.pop(at[0]))
        session = next(each for id, each in self.known if id == asked.session)
        session.used = self.clock
        if asked.serial < session.lowest:
            return Result(Verdict.EXPIRED, index)
        if asked.serial in session.results:
            return session.results[asked.serial]
        session.lowest = max(session.lowest, min(asked.lowest, asked.serial))
        return None

    def applied(self, asked: Asked, result: Result) -> None:
        session = next(each for id, each in self.known if id == asked.session)
        session.results[asked.serial] = result
        kept = sorted(serial for serial in session.results if serial >= session.lowest)
        if len(kept) > self.session_results_max:
            session.lowest = kept[(len(kept) - 1) // 2] + 1
        while len(self.known) > 1 and self.count() > self.results_max:
            self.forget(0)

    def count(self) -> int:
        return sum(len([serial for serial in each.results if serial >= each.lowest]) for _, each in self.known)


sessions, serials, lowests = st.integers(1, 5), st.integers(1, 7), st.integers(0, 8)
elapsed = st.sampled_from([0.0, 0.0, 1.0, 4.0, -5.0])
loose = st.lists(st.builds(Asked, sessions, serials, lowests, elapsed), max_size=4)


@st.composite
def calls(draw: st.DrawFn) -> list[Asked]:
    """Requests that left together: of one session, most of them new and in order, as a client's are."""
    session, lowest = draw(sessions), draw(lowests)
    asked = draw(st.lists(serials, min_size=2, max_size=4))
    if draw(st.booleans()):
        asked = sorted(set(asked))
    return [Asked(session, serial, lowest, 0.0) for serial in asked]


histories = st.lists(
    st.one_of(loose, calls(), st.tuples(calls(), loose).map(lambda both: both[0] + both[1])), max_size=14
)


@pytest.fixture(scope="module", autouse=False)
def small() -> Iterator[tuple[float, int, int, int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SESSION_IDLE_S", 6.0)
        patch.setattr(module, "SESSIONS_MAX", 3)
        patch.setattr(module, "RESULTS_MAX", 6)
        patch.setattr(module, "SESSION_RESULTS_MAX", 4)
        yield 6.0, 3, 6, 4


@given(histories, st.data())
@settings(max_examples=300, deadline=None)
def test_any_history_is_judged_as_the_oracle_does_and_nothing_is_applied_twice(
    small: tuple[float, int, int, int], history: list[list[Asked]], data: st.DataObject
) -> None:
    """With a snapshot at any place. A session keeps the index that it had seen when its number was drawn."""
    oracle, store, time = Oracle(*small), Store(), 100.0
    sinces: dict[int, int] = {}
    counts: dict[tuple[int, int], int] = {}
    cut = data.draw(st.integers(0, len(history)))
    store.skip(1, 1)
    for number, entry in enumerate(history):
        if number == cut:
            chunks = list(store.freeze().chunks())
            store = Store()
            store.restore(chunks)
        index = store.index + 1
        time += sum(asked.elapsed for asked in entry)
        oracle.begin(time)
        encoded: list[bytes] = []
        for position, asked in enumerate(entry):
            since = sinces.setdefault(asked.session, data.draw(st.integers(1, index), label="since"))
            key = f"{asked.session}/{asked.serial}/{index}/{position}"
            encoded.append(
                codec.encode(Transaction((Put(key, b""),), asked.session, asked.serial, asked.lowest, since))
            )
        results = store.apply(index, 1, encode_transactions(encoded, time))
        for position, (asked, result) in enumerate(zip(entry, results, strict=True)):
            wanted = oracle.judge(asked, sinces[asked.session], index)
            written = store.get(KeyValue, f"{asked.session}/{asked.serial}/{index}/{position}") is not None
            assert written == (wanted is None)
            if wanted is None:
                oracle.applied(asked, result)
                counts[asked.session, asked.serial] = counts.get((asked.session, asked.serial), 0) + 1
            else:
                assert (result.verdict, result.index) == (wanted.verdict, wanted.index)
        assert store._sessions._results == oracle.count()
        assert [id for id, *_ in store._sessions.freeze().sessions] == [id for id, _ in oracle.known]
    assert all(count == 1 for count in counts.values())
