"""The table of faults, by examples and by its laws: what is undone or healed was never there."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.host.faults import Fault, FaultKind, FaultTable, InvalidFault
from swarmtui.objects.codec import decode_json, encode_json
from swarmtui.wire.node_calls import LinkFault

NODES = ("n1", "n2", "n3", "n4", "n5")
IDS = {name: f"id-{name}" for name in NODES}
EMPTY = FaultTable(NODES)


def links(table: FaultTable, node: str) -> dict[str, LinkFault]:
    return {fault.peer_id: fault for fault in table.links(IDS)[IDS[node]]}


# ------------------------------------------------------------------------------------------------------------ partitions


def test_partition_cuts_both_ways_at_both_ends_and_nothing_within_a_group() -> None:
    table = EMPTY.partition([["n1", "n2"], ["n3", "n4", "n5"]], 10.0)
    assert links(table, "n1") == {
        f"id-{other}": LinkFault(f"id-{other}", cut_out=True, cut_in=True) for other in ("n3", "n4", "n5")
    }
    assert set(links(table, "n4")) == {"id-n1", "id-n2"}
    assert table.reports()[0].text == "partition n1 n2 / n3 n4 n5"


def test_nodes_not_named_belong_to_the_last_group() -> None:
    assert EMPTY.partition([["n5"], ["n1"]], 0.0).reports()[0].text == "partition n5 / n1 n2 n3 n4"


def test_with_one_group_the_rest_is_the_other() -> None:
    assert EMPTY.partition([["n2", "n1"]], 0.0).reports()[0].text == "partition n1 n2 / n3 n4 n5"


def test_three_groups() -> None:
    table = EMPTY.partition([["n1"], ["n2"], ["n3"]], 0.0)
    assert set(links(table, "n3")) == {"id-n1", "id-n2"}
    assert set(links(table, "n1")) == {"id-n2", "id-n3", "id-n4", "id-n5"}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([], "needs nodes on each side"),
        ([["n1"], []], "needs nodes on each side"),
        ([list(NODES)], "every node is on one side"),
        ([["n1"], ["n1"]], "n1 is named twice"),
        ([["n9"]], "there is no node n9; the nodes are n1 n2"),
    ],
)
def test_partitions_that_cannot_be(groups: list[list[str]], said: str) -> None:
    with pytest.raises(InvalidFault, match=said):
        EMPTY.partition(groups, 0.0)


# ----------------------------------------------------------------------------------------------------------------- links


def test_one_way_cut_is_silence_in_one_direction_enforced_at_both_ends() -> None:
    table = EMPTY.cut("n1", "n2", 0.0, one_way=True)
    assert links(table, "n1") == {"id-n2": LinkFault("id-n2", cut_out=True)}
    assert links(table, "n2") == {"id-n1": LinkFault("id-n1", cut_in=True)}


def test_loss_and_delay_are_the_senders() -> None:
    table = EMPTY.link("n1", "n2", 0.0, one_way=True, delay_ms=200, loss=0.1)
    assert links(table, "n1") == {"id-n2": LinkFault("id-n2", delay_ms=200, loss=0.1)}
    assert links(table, "n2") == {}
    assert table.reports()[0].text == "link n1 n2 --one-way delay=200ms loss=10%"


def test_later_delay_replaces_the_earlier_until_it_is_undone() -> None:
    first = EMPTY.link("n1", "n2", 0.0, delay_ms=200)
    second = first.link("n1", "n2", 1.0, delay_ms=500, jitter_ms=50)
    assert links(second, "n2")["id-n1"].delay_ms == 500
    assert links(second.undo(), "n2")["id-n1"] == LinkFault("id-n1", delay_ms=200)


def test_a_cut_and_a_delay_add_up_and_last_as_long_as_the_longer() -> None:
    table = EMPTY.cut("n1", "n2", 100.0, for_s=5.0).link("n1", "n2", 100.0, delay_ms=20, for_s=30.0)
    assert links(table, "n1")["id-n2"] == LinkFault("id-n2", cut_out=True, cut_in=True, delay_ms=20, until=130.0)
    assert links(table.expire(105.0), "n1")["id-n2"] == LinkFault("id-n2", delay_ms=20, until=130.0)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (lambda: EMPTY.cut("n1", "n1", 0.0), "no link to itself"),
        (lambda: EMPTY.cut("n1", "n7", 0.0), "there is no node n7"),
        (lambda: EMPTY.link("n1", "n2", 0.0), "needs a delay, a jitter or a loss"),
        (lambda: EMPTY.link("n1", "n2", 0.0, loss=1.5), "loss is 150%"),
        (lambda: EMPTY.link("n1", "n2", 0.0, delay_ms=-1), "delay is -1 ms"),
        (lambda: EMPTY.cut("n1", "n2", 0.0, for_s=0), "time limit is 0 s"),
    ],
)
def test_links_that_cannot_be(order: object, said: str) -> None:
    with pytest.raises(InvalidFault, match=said):
        order()  # type: ignore[operator]


# ----------------------------------------------------------------------------------------------------------------- power


def test_a_kill_ends_the_pause_before_it() -> None:
    table = EMPTY.power(FaultKind.PAUSE, "n1", 0.0).power(FaultKind.KILL, "n1", 1.0)
    assert [report.text for report in table.reports()] == ["kill n1"]


def test_the_same_again_is_the_same_fault() -> None:
    once = EMPTY.power(FaultKind.KILL, "n1", 0.0)
    assert once.power(FaultKind.KILL, "n1", 5.0) == once
    limited = once.power(FaultKind.KILL, "n1", 5.0, 10.0)
    assert limited.deadline == 15.0
    assert [fault.id for fault in limited.faults] == [fault.id for fault in once.faults]


def test_start_ends_what_was_done_to_the_power_and_nothing_else() -> None:
    table = EMPTY.cut("n1", "n2", 0.0).power(FaultKind.STOP, "n1", 0.0).power(FaultKind.KILL, "n2", 0.0)
    assert [report.text for report in table.restored("n1").reports()] == ["cut n1 n2", "kill n2"]


def test_up_after_a_power_cut_keeps_the_links_only() -> None:
    table = EMPTY.cut("n1", "n2", 0.0).power(FaultKind.KILL, "n2", 0.0)
    assert [report.kind for report in table.powered_on().reports()] == ["cut"]


# --------------------------------------------------------------------------------------------------------------- endings


def test_healing_one_node_leaves_the_partition_between_the_others() -> None:
    table = EMPTY.partition([["n1", "n2"]], 0.0).power(FaultKind.KILL, "n1", 1.0)
    healed = table.heal(["n1"])
    assert [report.text for report in healed.reports()] == ["partition n1 n2 / n3 n4 n5, healed: n1"]
    assert links(healed, "n1") == {}
    assert set(links(healed, "n3")) == {"id-n2"}
    assert table.ended(healed) == [table.faults[1]]
    assert [fault.id for fault in table.changed(healed)] == [1]
    assert healed.heal(["n2"]).faults == ()


def cut_pairs(table: FaultTable) -> set[str]:
    """The links on which nothing passes, as both ends enforce them."""
    names = (*NODES, "n9")
    links = table.links({name: name for name in names if name in table.nodes})
    return {
        f"{name}>{fault.peer_id}"
        for name, faults in links.items()
        for fault in faults
        if fault.cut_out and fault.cut_in
    }


def test_a_node_that_joins_during_a_partition_is_on_the_side_of_those_that_were_not_named() -> None:
    table = EMPTY.partition([["n1", "n2"]], 0.0)
    grown = table.with_nodes((*NODES, "n9"))
    (fault,) = grown.faults
    assert fault.text == table.faults[0].text + " n9"
    assert cut_pairs(grown) - cut_pairs(table) == {"n1>n9", "n9>n1", "n2>n9", "n9>n2"}
    late = table.heal(["n1"]).with_nodes((*NODES, "n9"))
    assert late.faults[0].text == "partition n1 n2 / n3 n4 n5 n9, healed: n1"
    assert cut_pairs(late) == cut_pairs(grown.heal(["n1"]))
    assert cut_pairs(grown.heal(["n1"])) - cut_pairs(table) == {"n2>n9", "n9>n2"}
    assert grown.undo().faults == ()
    assert cut_pairs(grown.with_nodes(NODES)) == cut_pairs(table)


def test_a_node_that_joins_when_only_named_nodes_are_still_apart_is_linked_to_all() -> None:
    rest = [name for name in NODES if name not in ("n1", "n2")]
    table = EMPTY.partition([["n1"], ["n2"], rest], 0.0).heal(rest)
    assert cut_pairs(table.with_nodes((*NODES, "n9"))) == cut_pairs(table) == {"n1>n2", "n2>n1"}


def test_a_clock_set_back_makes_nothing_last_longer() -> None:
    table = EMPTY.cut("n1", "n2", 1000.0, for_s=30.0).since_at_most(400.0)
    assert table.deadline == 430.0


# ------------------------------------------------------------------------------------------------------------------ laws

nodes = st.sampled_from(NODES)
limits = st.none() | st.floats(0.1, 100.0)


@st.composite
def orders(draw: st.DrawFn, table: FaultTable, now: float) -> FaultTable:
    kind = draw(st.sampled_from(["power", "partition", "cut", "link"]))
    for_s = draw(limits)
    if kind == "power":
        power = draw(st.sampled_from([FaultKind.KILL, FaultKind.PAUSE, FaultKind.STOP]))
        return table.power(power, draw(nodes), now, for_s)
    if kind == "partition":
        group = draw(st.sets(nodes, min_size=1, max_size=len(NODES) - 1))
        return table.partition([sorted(group)], now, for_s)
    source, target = draw(st.permutations(NODES))[:2]
    if kind == "cut":
        return table.cut(source, target, now, one_way=draw(st.booleans()), for_s=for_s)
    return table.link(source, target, now, one_way=draw(st.booleans()), delay_ms=draw(st.floats(1, 1000)), for_s=for_s)


@st.composite
def tables(draw: st.DrawFn) -> FaultTable:
    table = EMPTY
    for now in range(draw(st.integers(0, 6))):
        table = draw(orders(table, float(now)))
    return table


def in_force(table: FaultTable) -> tuple[object, ...]:
    return table.faults, table.links(IDS)


@given(st.data(), tables())
def test_undo_takes_back_exactly_the_last_link_fault(data: st.DataObject, table: FaultTable) -> None:
    after = data.draw(orders(table, 50.0))
    begun = table.begun(after)
    if begun and not begun[0].kind.is_power:
        assert in_force(after.undo()) == in_force(table)


@given(tables())
def test_undo_often_enough_and_heal_both_end_everything(table: FaultTable) -> None:
    undone = table
    for _ in table.faults:
        undone = undone.undo()
    assert in_force(undone) == in_force(table.heal()) == in_force(EMPTY)


@given(tables(), st.permutations(NODES))
def test_healing_every_node_one_by_one_is_healing_all(table: FaultTable, order: list[str]) -> None:
    healed = table
    for name in order:
        healed = healed.heal([name])
    assert in_force(healed) == in_force(EMPTY)


@given(tables(), nodes)
def test_a_healed_node_has_no_fault_and_nobody_has_one_towards_it(table: FaultTable, name: str) -> None:
    healed = table.heal([name])
    assert links(healed, name) == {}
    assert all(IDS[name] not in links(healed, other) for other in NODES)
    assert not any(name in report.nodes for report in healed.reports())


@given(tables())
def test_a_cut_is_enforced_at_both_ends(table: FaultTable) -> None:
    for one in NODES:
        for other, fault in links(table, one).items():
            back = links(table, other.removeprefix("id-")).get(IDS[one], LinkFault(IDS[one]))
            assert (fault.cut_out, fault.cut_in) == (back.cut_in, back.cut_out)


@given(tables(), st.floats(0, 200))
def test_nothing_outlives_its_limit(table: FaultTable, now: float) -> None:
    left = table.expire(now)
    assert all(fault.until is None or fault.until > now for fault in left.faults)
    assert [fault for fault in table.faults if fault.limit_s is None] == [f for f in left.faults if f.limit_s is None]


@given(tables())
def test_a_table_survives_the_disk(table: FaultTable) -> None:
    assert decode_json(encode_json(table), FaultTable) == table


def test_reports_are_in_the_protocols_form() -> None:
    fault = EMPTY.cut("n2", "n1", 7.0, for_s=3.0).faults[0]
    assert attrs.asdict(fault, recurse=False).keys() == {a.name for a in attrs.fields(Fault)}
    (report,) = EMPTY.cut("n2", "n1", 7.0, for_s=3.0).reports()
    assert (report.id, report.kind, report.text, report.since, report.until) == (1, "cut", "cut n2 n1", 7.0, 10.0)
    assert report.nodes == ("n1", "n2")
