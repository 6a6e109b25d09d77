"""A batch of keys: each task is woken once, with what its key holds, and not at all once it has given up."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from swarmtui.client.batches import Batch
from swarmtui.objects.records import KeyValue

A, B, C = (KeyValue(name, 1, 0.0, 0.0, name.encode()) for name in "abc")


class Readers:
    """Tasks that wait for a key each, and what they have read."""

    def __init__(self, nursery: trio.Nursery, *keys: str) -> None:
        self.batch = Batch()
        self.read: list[tuple[str, KeyValue | str | None]] = []
        self.scopes = {key: trio.CancelScope() for key in keys}
        for key in keys:
            nursery.start_soon(self._wait, key, self.batch.join(key))

    async def _wait(self, key: str, place: int) -> None:
        with self.scopes[key]:
            await self.batch.wait(place)
            values = self.batch.values
            self.read.append((key, values[place] if place < len(values) else "not known"))
            await trio.lowlevel.checkpoint()

    async def now(self) -> list[tuple[str, KeyValue | str | None]]:
        await trio.testing.wait_all_tasks_blocked()
        return sorted(self.read, key=lambda pair: pair[0])


async def test_all_who_wait_are_told_in_one_step(nursery):
    readers = Readers(nursery, "a", "b", "c")
    assert await readers.now() == []
    readers.batch.tell([A, None, C])
    assert await readers.now() == [("a", A), ("b", None), ("c", C)]
    assert readers.batch.left == 0


async def test_those_who_are_told_nothing_yet_wait_on(nursery):
    readers = Readers(nursery, "a", "b", "c")
    await readers.now()
    readers.batch.tell([A])
    assert await readers.now() == [("a", A)]
    assert readers.batch.untold == ("b", "c")
    readers.batch.tell([B])
    assert await readers.now() == [("a", A), ("b", B)]
    readers.batch.tell_nothing()
    assert await readers.now() == [("a", A), ("b", B), ("c", "not known")]


async def test_who_has_given_up_is_woken_no_more(nursery):
    readers = Readers(nursery, "a", "b")
    await readers.now()
    readers.scopes["a"].cancel()
    readers.batch.tell([A, B])  # before the one that is cancelled has run
    assert await readers.now() == [("b", B)]


async def test_who_has_given_up_and_waits_for_something_else_is_left_alone(nursery):
    batch, woken = Batch(), trio.Event()

    async def give_up_and_wait() -> None:
        with trio.move_on_after(0):
            await batch.wait(batch.join("a"))
        await trio.sleep_forever()

    async def give_up_and_ask_again() -> None:
        with trio.move_on_after(0):
            await batch.wait(batch.join("b"))
        await batch.wait(batch.join("c"))
        woken.set()
        await trio.sleep_forever()

    nursery.start_soon(give_up_and_wait)
    nursery.start_soon(give_up_and_ask_again)
    while batch.left < 3:
        await trio.testing.wait_all_tasks_blocked()
    await trio.testing.wait_all_tasks_blocked()
    batch.tell([A, B, C])
    with trio.fail_after(5):
        await woken.wait()
    nursery.cancel_scope.cancel()


async def test_who_has_not_begun_to_wait_is_told_all_the_same():
    batch = Batch()
    place = batch.join("a")
    batch.tell([A])
    assert (batch.told, batch.values[place]) == (1, A)


@pytest.mark.parametrize("told", [0, 2])
def test_what_is_not_told_is_asked_for_again_in_its_order(told):
    batch = Batch()
    assert [batch.join(key) for key in "abc"] == [0, 1, 2]
    batch.tell([A, B][:told])
    assert batch.untold == tuple("abc")[told:]
    assert batch.left == len(batch) - told
