"""A wish: whoever waits goes on when it is settled, once; whoever is cancelled has given it up."""

from __future__ import annotations

import trio
import trio.testing

from swarmtui.client.wishes import Wish


async def test_many_that_are_settled_in_one_step_all_go_on() -> None:
    wishes = [Wish() for _ in range(100)]
    gone_on: list[int] = []

    async def wait(number: int) -> None:
        await wishes[number].wait()
        gone_on.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        assert gone_on == []
        for wish in wishes[:50]:
            wish.settle()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(gone_on) == list(range(50))
        for wish in wishes[50:]:
            wish.settle()
    assert sorted(gone_on) == list(range(100))
    assert all(wish.settled and not wish.abandoned for wish in wishes)


async def test_one_that_was_given_up_may_be_settled_still() -> None:
    wish = Wish()
    with trio.move_on_after(0) as scope:
        await wish.wait()
    assert scope.cancelled_caught
    assert (wish.abandoned, wish.settled) == (True, False)
    wish.settle()
    assert wish.settled


async def test_settled_twice_it_wakes_once() -> None:
    wish, woken = Wish(), 0

    async def wait() -> None:
        nonlocal woken
        await wish.wait()
        woken += 1
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        wish.settle()
        wish.settle()
    assert woken == 1
