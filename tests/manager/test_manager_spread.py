"""The spread tree against a naive oracle, and the ranking of nodes."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.manager.spread import place


@attrs.define(eq=False)
class Spot:
    """A node as the tree sees it."""

    labels: tuple[str, ...]
    load: int = 0  # tasks of the service
    total: int = 0  # tasks at all
    room: int = 1000
    placed: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        return (self.load + self.placed, self.total + self.placed)


def put_tasks(count: int, spots: list[Spot], depth: int) -> int:
    def put(spot: Spot) -> None:
        spot.placed += 1

    return place(
        count,
        spots,
        fits=lambda spot: spot.placed < spot.room,
        rank=lambda spot: spot.rank,
        load=lambda spot: spot.load,
        levels=[lambda spot, level=level: spot.labels[level] for level in range(depth)],  # type: ignore[misc]
        put=put,
    )


def oracle(count: int, spots: list[Spot], depth: int) -> None:
    """One task at a time, looked at from scratch: down the branch with fewest tasks that still has room."""
    for _ in range(count):
        here = spots
        for level in range(depth):
            open_values = {spot.labels[level] for spot in here if spot.placed < spot.room}
            if not open_values:
                return

            def key(value: str, here: list[Spot] = here, level: int = level) -> tuple[int, object, str]:
                branch = [spot for spot in here if spot.labels[level] == value]
                best = best_of(branch, depth, level + 1)
                return (sum(spot.load + spot.placed for spot in branch), best, value)

            chosen = min(open_values, key=key)
            here = [spot for spot in here if spot.labels[level] == chosen]
        free = [spot for spot in here if spot.placed < spot.room]
        if not free:
            return
        min(free, key=lambda spot: spot.rank).placed += 1


def best_of(spots: list[Spot], depth: int, level: int) -> tuple[int, int]:
    """The rank of the node that a task going down here would get."""
    if level == depth:
        return min(spot.rank for spot in spots if spot.placed < spot.room)
    values = {spot.labels[level] for spot in spots if spot.placed < spot.room}

    def key(value: str) -> tuple[int, object, str]:
        branch = [spot for spot in spots if spot.labels[level] == value]
        return (sum(spot.load + spot.placed for spot in branch), best_of(branch, depth, level + 1), value)

    chosen = min(values, key=key)
    return best_of([spot for spot in spots if spot.labels[level] == chosen], depth, level + 1)


spot = st.builds(
    Spot,
    labels=st.tuples(st.sampled_from("abc"), st.sampled_from("xy")),
    load=st.integers(0, 4),
    total=st.integers(0, 6),
    room=st.integers(0, 5),
)


@given(st.lists(spot, max_size=8), st.integers(0, 25), st.integers(0, 2))
def test_as_the_naive_oracle_places(spots: list[Spot], count: int, depth: int) -> None:
    naive = [attrs.evolve(each) for each in spots]
    oracle(count, naive, depth)
    placed = put_tasks(count, spots, depth)
    assert [each.placed for each in spots] == [each.placed for each in naive]
    assert placed == sum(each.placed for each in spots) == min(count, sum(each.room for each in spots))


@given(st.lists(spot, min_size=1, max_size=8), st.integers(0, 40))
def test_branches_with_room_end_up_level(spots: list[Spot], count: int) -> None:
    """Connected vessels: a branch that got a task is at most one above every branch that still has room."""
    put_tasks(count, spots, 1)
    totals: dict[str, int] = {}
    for each in spots:
        totals[each.labels[0]] = totals.get(each.labels[0], 0) + each.load + each.placed
    got = {each.labels[0] for each in spots if each.placed}
    has_room = {each.labels[0] for each in spots if each.placed < each.room}
    for high in got:
        for low in has_room:
            assert totals[high] <= totals[low] + 1


def test_three_two_one_nodes_in_three_zones_take_three_tasks_each() -> None:
    spots = [Spot((zone,)) for zone in "aaabbc"]
    put_tasks(9, spots, 1)
    assert [each.placed for each in spots] == [1, 1, 1, 2, 1, 3]


def test_an_empty_node_is_filled_until_it_is_no_better_then_in_turn() -> None:
    spots = [Spot((), load=3), Spot((), load=0), Spot((), load=2)]
    put_tasks(4, spots, 0)
    assert [each.load + each.placed for each in spots] == [3, 3, 3]
