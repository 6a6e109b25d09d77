"""The map under `kv`: like a dictionary, and what was frozen stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmtui.store.shards import FrozenShards, Shards

keys = st.sampled_from([str(number) for number in range(12)])
steps = st.lists(st.tuples(st.sampled_from(["put", "remove", "freeze"]), keys, st.integers(0, 9)), max_size=40)


@given(steps)
def test_it_is_a_dictionary_whose_frozen_copies_stay(steps: list[tuple[str, str, int]]) -> None:
    shards, model = Shards(), dict[str, int]()
    frozen: list[tuple[FrozenShards, dict[str, int]]] = []
    for verb, key, value in steps:
        if verb == "put":
            assert shards.put(key, value) == model.get(key)
            model[key] = value
        elif verb == "remove" and key in model:
            shards.remove(key)
            del model[key]
        elif verb == "freeze":
            frozen.append((shards.freeze(), dict(model)))
            shards = shards if value % 2 else Shards(frozen[-1][0])
        assert shards.length == len(model)
        assert sorted(shards) == sorted(model)
        assert shards.get(key) == model.get(key)
    for copy, then in frozen:
        assert dict(copy.rows()) == dict(copy) == then
        assert list(copy) == [key for key, _ in copy.rows()] == sorted(then)
        assert len(copy) == len(then)
