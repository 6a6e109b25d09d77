"""Client sessions: a write that its client sends again is applied once.

A client draws a number for its session and counts its requests. Of every request of a session the result is kept until
the client says that it has it (`lowest`), and a repeat is answered with the result that was kept. This holds across
changes of the leader, snapshots and restarts, for the table of sessions is a part of the store: it is changed by entries
only, is in every snapshot, and is the same on every replica at the same index.

**Opening costs nothing.** The first request that arrives opens its session, whatever its serial: requests are in flight
in any number and in any order. But a request of a session that was forgotten must not open it anew, or it would be
applied twice. So each session names a log index that its client had seen when it drew the number (`since`), and the
table keeps one number of all that it forgot: the highest `since` among them (`floor`). A session is opened only by a
`since` above the floor: whatever was forgotten can never come back, with no list of the dead. A client that is refused
so and had sent its request once knows that it was not applied, and begins a new session.

**Forgetting is a function of the log.** The clock here is the highest time that an entry carried, as its leader stamped
it; nobody looks at a clock while applying. A session that was not used for SESSION_IDLE_S of that clock is forgotten,
and beyond SESSIONS_MAX sessions or RESULTS_MAX results those that were not used for longest. A session that holds more
results, or longer texts, than one may have loses its older half, as if its client had said that it has them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from operator import lt
from typing import Any

import attrs

from swarmtui.objects.operations import SESSION_RESULTS_MAX, Result, Verdict

SESSIONS_MAX = 4096
SESSION_IDLE_S = 3600.0  # of the entries' clock
SESSION_TEXT_MAX = 64 * 1024  # characters of reasons, a session
RESULTS_MAX = 262_144  # of all sessions

Kept = int | Result
"""A result that is kept: the index alone where there is nothing else to say."""

Row = tuple[int, int, float, int, list[tuple[int, Any]]]
"""A session in a snapshot: number, since, used, lowest, and its results as (serial, index or the fields of a Result)."""


@attrs.define(eq=False)
class ClientSession:
    """`results` by serial, none below `lowest`. `used` is the clock at its last request."""

    id: int
    since: int
    used: float
    lowest: int = 1
    results: dict[int, Kept] = attrs.field(factory=dict)
    text: int = 0  # characters of reasons in the results


class Sessions:
    """The table. Its order is that of use, the one that was not used for longest first."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.floor = 0
        self._results = 0
        self._by_id: OrderedDict[int, ClientSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_id)

    def advance(self, time: float) -> None:
        """An entry of this time begins."""
        if time > self.clock:
            self.clock = time
            while self._by_id and self._oldest().used + SESSION_IDLE_S < time:
                self._forget(self._oldest())

    def enter(self, id: int, serial: int, lowest: int, since: int, index: int) -> ClientSession | Result:
        """The session in which this request is to be carried out now, and its result to be kept (`keep`); or the Result
        that it has already: of the first time, or that it cannot be carried out any more."""
        session = self._by_id.get(id)
        if session is None:
            if not self.floor < since <= index:
                text = f"session {id:x} is not known, or not any more: request {serial} of it is not carried out"
                return Result(Verdict.EXPIRED, index, text)
            session = self._open(id, since)
        elif session.used != self.clock:
            session.used = self.clock
            self._by_id.move_to_end(id)
        if serial < session.lowest:
            text = f"request {serial} of session {id:x} was answered before, and its result is not kept any more"
            return Result(Verdict.EXPIRED, index, text)
        kept = session.results.get(serial)
        if kept is not None:
            return Result(Verdict.DONE, kept) if type(kept) is int else kept  # type: ignore[return-value]
        if lowest > session.lowest:
            self._discard(session, min(lowest, serial))
        return session

    def enter_all(
        self, id: int, serials: Sequence[int], lowest: int, since: int, index: int
    ) -> ClientSession | Result | None:
        """`enter` of requests that one call brought, for all of them at once: what it answers of one alone. Of several None
        where not all may just be carried out, or their results would not fit: then each is to be entered by itself."""
        session = self.enter(id, serials[0], lowest, since, index)
        if len(serials) == 1:
            return session
        if isinstance(session, Result):
            return None
        known = session.results
        is_plain = all(map(lt, serials, serials[1:])) and known.keys().isdisjoint(serials) and lowest <= serials[0]
        fits = len(known) + len(serials) <= SESSION_RESULTS_MAX and self._results + len(serials) <= RESULTS_MAX
        return session if is_plain and fits else None

    def keep_all(self, session: ClientSession, serials: Sequence[int], results: Sequence[Result]) -> None:
        """This came of the requests that were let in together."""
        first = results[0]
        if _is_plain(first) and results.count(first) == len(results) > 1:
            session.results.update(dict.fromkeys(serials, first.index))
            self._results += len(results)
            return
        for serial, result in zip(serials, results, strict=True):
            self.keep(session, serial, result)

    def keep(self, session: ClientSession, serial: int, result: Result) -> None:
        """This came of the request that was let in."""
        results = session.results
        if _is_plain(result):
            results[serial] = result.index
        else:
            results[serial] = result
            session.text += len(result.text)
        self._results += 1
        if len(results) > SESSION_RESULTS_MAX or session.text > SESSION_TEXT_MAX:
            serials = sorted(session.results)
            self._discard(session, 1 + serials[(len(serials) - 1) // 2])
        while self._results > RESULTS_MAX and len(self._by_id) > 1:
            self._forget(self._oldest())

    def _open(self, id: int, since: int) -> ClientSession:
        session = self._by_id[id] = ClientSession(id, since, self.clock)
        if len(self._by_id) > SESSIONS_MAX:
            self._forget(self._oldest())
        return session

    def _oldest(self) -> ClientSession:
        return next(iter(self._by_id.values()))

    def _forget(self, session: ClientSession) -> None:
        del self._by_id[session.id]
        self._results -= len(session.results)
        self.floor = max(self.floor, session.since)

    def _discard(self, session: ClientSession, lowest: int) -> None:
        """No result of a serial below `lowest` is wanted any more. The way is short as long as serials are dense."""
        results = session.results
        few = lowest - session.lowest <= len(results)
        for serial in range(session.lowest, lowest) if few else [known for known in results if known < lowest]:
            gone = results.pop(serial, None)
            if gone is not None:
                self._results -= 1
                if type(gone) is not int:
                    session.text -= len(gone.text)  # type: ignore[union-attr]
        session.lowest = lowest

    # ---- the whole

    def freeze(self) -> FrozenSessions:
        return FrozenSessions(
            self.clock,
            self.floor,
            tuple((each.id, each.since, each.used, each.lowest, each.results.copy()) for each in self._by_id.values()),
        )

    def load(self, frozen: FrozenSessions) -> None:
        """Fills an empty table with what was frozen or read."""
        self.clock, self.floor = frozen.clock, frozen.floor
        for id, since, used, lowest, results in frozen.sessions:
            text = sum([len(kept.text) for kept in results.values() if isinstance(kept, Result)])
            self._by_id[id] = ClientSession(id, since, used, lowest, dict(results), text)
            self._results += len(results)


@attrs.frozen
class FrozenSessions:
    """The table as it was: (number, since, used, lowest, results by serial) each, in the order of use."""

    clock: float = 0.0
    floor: int = 0
    sessions: tuple[tuple[int, int, float, int, dict[int, Kept]], ...] = ()

    def rows(self) -> Iterable[Row]:
        """Each session as plain values."""
        for id, since, used, lowest, results in self.sessions:
            yield id, since, used, lowest, [(serial, _plain(kept)) for serial, kept in results.items()]


def session_of_row(row: Any) -> tuple[int, int, float, int, dict[int, Kept]]:
    """What `FrozenSessions.rows` wrote. Raises TypeError, ValueError."""
    id, since, used, lowest, results = row
    if not all(type(number) is int for number in (id, since, lowest)):
        raise TypeError(f"session {id!r} is of the wrong types")
    return id, since, float(used), lowest, {_serial(serial): _kept(kept) for serial, kept in results}


def _is_plain(result: Result) -> bool:
    """There is nothing to say but its index."""
    return result.verdict is Verdict.DONE and not result.skipped


def _plain(kept: Kept) -> Any:
    if isinstance(kept, int):
        return kept
    return str(kept.verdict), kept.index, kept.text, kept.expected, kept.found, kept.skipped


def _kept(plain: Any) -> Kept:
    if type(plain) is int:
        return plain
    verdict, index, text, expected, found, skipped = plain
    numbers = all(type(number) is int for number in (index, skipped))
    if not numbers or type(text) is not str or any(type(each) not in (int, type(None)) for each in (expected, found)):
        raise TypeError(f"the result {plain!r} of a session is of the wrong types")
    return Result(Verdict(verdict), index, text, expected, found, skipped)


def _serial(serial: Any) -> int:
    if type(serial) is not int:
        raise TypeError(f"serial {serial!r} of a session is no number")
    return serial
