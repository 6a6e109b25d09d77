"""The key-value store: bytes in, bytes out, versions, and compare-and-swap."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from swarmtui.commands.errors import CommandFailed, SomeFailed, WrongUsage
from swarmtui.commands.output import Document, Line
from swarmtui.objects.records import KeyValue
from tests.commands.fake_answers import FakeNoQuorum, FakeRefused, FakeUnknown


async def test_put_prints_the_version_and_get_the_bytes(order, cluster):
    (put,) = (await order("kv put color green")).items
    version = cluster.store.index
    assert put == Document({"key": "color", "version": version}, str(version))
    (got,) = (await order("kv get color")).items
    assert got.data == b"green"
    assert got.value == {"key": "color", "value": "green", "value_base64": "Z3JlZW4=", "version": version}


async def test_values_are_bytes_read_from_standard_input(order):
    await order("kv put blob -", read_input=b"\xff\x00")
    (got,) = (await order("kv get blob")).items
    assert got.data == b"\xff\x00"
    assert got.value["value"] is None
    assert got.value["value_base64"] == "/wA="


async def test_cas_swaps_only_at_the_expected_version(order, cluster):
    (first,) = (await order("kv cas lock 0 mine")).items
    assert first.text == str(cluster.store.index)
    with pytest.raises(FakeRefused, match="out of sequence"):
        await order("kv cas lock 0 yours")
    (second,) = (await order(f"kv cas lock {first.text} yours")).items
    assert int(second.text) > int(first.text)


async def test_a_missing_key_is_refused(order):
    with pytest.raises(CommandFailed, match="no such key: nope"):
        await order("kv get nope")
    with pytest.raises(CommandFailed):
        await order("kv delete nope")


async def test_delete_several(order):
    await order("kv put a 1")
    assert (await order("kv delete a")).items == [Line("a", "key")]
    await order("kv put b 1")
    with pytest.raises(SomeFailed):
        await order("kv delete a b")
    assert (await order("kv ls")).items[0].rows == []


async def test_ls_by_prefix_with_short_values(order):
    await order("kv put cart:1 one")
    await order("kv put cart:2 -", read_input=b"\xff" * 3)
    await order("kv put cart:3 -", read_input=b"\0" * 100)
    await order("kv put cart:4 -", read_input=b"a\nb")
    await order("kv put other x")
    (listing,) = (await order("kv ls cart:")).items
    assert [row.values["key"] for row in listing.rows] == ["cart:1", "cart:2", "cart:3", "cart:4"]
    assert [row.cell("value") for row in listing.rows] == ["one", "(3 bytes)", "(100 bytes)", "a\\nb"]
    assert listing.quiet == "key"


async def test_limits_are_refused_before_anything_is_sent(order, cluster):
    with pytest.raises(WrongUsage, match="at most 1048576 bytes, this one 1048577"):
        await order("kv put k -", read_input=b"x" * (1024 * 1024 + 1))
    assert cluster.transactions == []


async def test_watch_shows_each_change(order, cluster):
    record = KeyValue("a", 9, 0.0, 0.0, b"1")
    cluster.kv.changes = [
        SimpleNamespace(key="a", record=record),
        SimpleNamespace(key="a", record=None),
    ]
    out = await order("kv watch")
    assert [item.text for item in out.items] == ["a = 1 (version 9)", "a deleted"]
    assert [item.value["deleted"] for item in out.items] == [False, True]


@pytest.mark.parametrize("error", [FakeRefused("x"), FakeUnknown("x"), FakeNoQuorum("x")])
async def test_the_clients_errors_pass_through_with_their_codes(order, cluster, error):
    cluster.fails = error
    with pytest.raises(type(error)):
        await order("kv put a b")


async def test_stale_reads_are_asked_for(order, cluster):
    await order("kv put a b")
    cluster.fails = FakeNoQuorum("no quorum")
    with pytest.raises(FakeNoQuorum):
        await order("kv get a")
    (got,) = (await order("kv get --stale a")).items
    assert got.data == b"b"
