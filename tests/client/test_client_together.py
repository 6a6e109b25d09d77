"""What is asked for in one moment leaves together; who is alone does not wait for company."""

import pytest
import trio
from outcome import Value

from swarmtui.client.together import Together


class Line:
    """What was sent, call by call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.together: Together[list[str]] = Together(self.calls.append, full=3)

    async def ask(self, item: str) -> None:
        together = self.together
        if together.gathering is None:
            await together.lead([item])
        else:
            together.gathering.append(item)
            if len(together.gathering) >= together.full:
                together.leave()

    def waits(self, item: str) -> bool:
        """Whether who asks for it now lets the others have a turn first."""
        joining = self.ask(item)
        try:
            joining.send(None)
        except StopIteration:
            return False
        joining.close()
        return True


@pytest.fixture
def line() -> Line:
    return Line()


async def test_all_who_ask_in_one_moment_are_sent_for_by_the_first(line):
    async with trio.open_nursery() as nursery:
        for item in "abc":
            nursery.start_soon(line.ask, item)
    assert [sorted(call) for call in line.calls] == [["a", "b", "c"]]


async def test_a_full_call_leaves_before_the_moment_is_over(line):
    async with trio.open_nursery() as nursery:
        for item in "abcd":
            nursery.start_soon(line.ask, item)
    assert [len(call) for call in line.calls] == [3, 1]
    async with trio.open_nursery() as nursery:
        for item in "efg":
            nursery.start_soon(line.ask, item)
    assert [len(call) for call in line.calls] == [3, 1, 3]
    assert sorted(item for call in line.calls for item in call) == list("abcdefg")


async def test_whose_call_was_full_leaves_the_next_to_the_first_of_that(line):
    first, fourth = line.ask("a"), line.ask("d")
    first.send(None)
    assert not line.waits("b")
    assert not line.waits("c")
    fourth.send(None)
    with pytest.raises(StopIteration):
        first.send(Value(None))
    assert line.calls == [["a", "b", "c"]]
    assert not line.waits("e")
    with pytest.raises(StopIteration):
        fourth.send(Value(None))
    assert line.calls == [["a", "b", "c"], ["d", "e"]]
    assert line.waits("f")


async def test_who_was_alone_is_sent_for_at_once(line):
    await line.ask("first")
    line.together.answered(1)
    assert not line.waits("second")
    assert line.calls == [["first"], ["second"]]


async def test_another_task_is_not_known_to_be_alone(line):
    await line.ask("first")
    line.together.answered(1)
    async with trio.open_nursery() as nursery:
        for item in "ab":
            nursery.start_soon(line.ask, item)
    assert sorted(line.calls[-1]) == ["a", "b"]


async def test_who_was_alone_waits_again_when_others_were_sent_for_meanwhile(line):
    await line.ask("first")
    async with trio.open_nursery() as nursery:
        for item in "ab":
            nursery.start_soon(line.ask, item)
    line.together.answered(1)
    assert line.waits("second")


async def test_who_was_alone_waits_again_when_others_are_about_to_wake_up(line):
    """Their calls may have left before; from now on they can share."""
    async with trio.open_nursery() as nursery:
        for item in "ab":
            nursery.start_soon(line.ask, item)
    await line.ask("first")
    line.together.answered(2)
    line.together.answered(1)
    assert line.waits("second")


async def test_none_is_lost_when_the_first_is_cancelled(line):
    async def ask_and_give_up() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await line.ask("given up")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_and_give_up)
        nursery.start_soon(line.ask, "kept")
    assert line.calls in ([["kept"]], [["given up", "kept"]], [["kept", "given up"]])  # as trio orders them
