"""Bugs of the replicated state machine: each breaks a rule of `swarmtui/store` or of the operations' docstrings."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

OPERATIONS = ("tests/store/test_store_operations.py",)
APPLY = ("tests/store/test_store_apply.py",)
WATCH = ("tests/store/test_store_watch.py",)
SNAPSHOT = ("tests/store/test_store_snapshot.py",)

MUTATIONS = (
    Mutation(
        name="create-without-uniqueness",
        rule="a name that is unique in its table exists once",
        file="swarmtui/store/tables.py",
        old="other = self._ids.get(_name(record).lower())",
        new="other = None",
        tests=OPERATIONS,
    ),
    Mutation(
        name="create-over-an-id-that-exists",
        rule="create fails if the id exists",
        file="swarmtui/store/judge.py",
        old="""    stored = table.get(record.id)
    if stored is not None:
        raise Refusal(Verdict.EXISTS""",
        new="""    stored = table.get(record.id)
    if False:
        raise Refusal(Verdict.EXISTS""",
        tests=(*OPERATIONS, *APPLY),
    ),
    Mutation(
        name="compare-and-swap-ignored",
        rule="a put with an expected version fails at any other",
        file="swarmtui/store/store.py",
        old="if expected is not None and found != expected:",
        new="if expected is not None and found < expected:",
        tests=(*OPERATIONS, *APPLY),
    ),
    Mutation(
        name="update-without-version-check",
        rule="update, remove and require hold at the version they name only",
        file="swarmtui/store/judge.py",
        old='    if found != expected:\n        text = f"update out of sequence: {_title(stored)} is',
        new='    if found < expected:\n        text = f"update out of sequence: {_title(stored)} is',
        tests=OPERATIONS,
    ),
    Mutation(
        name="require-writes-nothing-and-checks-nothing",
        rule="require guards against write skew",
        file="swarmtui/store/judge.py",
        old="    else:\n        _check_versions(stored, operation.version, operation.spec_version)",
        new="    else:\n        return",
        tests=OPERATIONS,
    ),
    Mutation(
        name="advance-goes-backwards",
        rule="a task's observed state only rises",
        file="swarmtui/store/judge.py",
        old="if status.state > old.state or (status.state == old.state and status.timestamp > old.timestamp):",
        new="if status.timestamp > old.timestamp:",
        tests=OPERATIONS,
    ),
    Mutation(
        name="desired-state-goes-backwards",
        rule="a task's desired state only rises",
        file="swarmtui/store/judge.py",
        old="if desired is not None and desired > task.desired_state:",
        new="if desired is not None:",
        tests=OPERATIONS,
    ),
    Mutation(
        name="assignment-taken-over",
        rule="a task is assigned to a node once",
        file="swarmtui/store/judge.py",
        old="if node_id is not None and task.node_id and task.node_id != node_id:",
        new="if False:",
        tests=OPERATIONS,
    ),
    Mutation(
        name="spec-version-rises-with-the-status",
        rule="the spec version changes with the spec only",
        file="swarmtui/store/judge.py",
        old="spec_version=stored.spec_version if spec_stays else ledger.index,",
        new="spec_version=ledger.index,",
        tests=OPERATIONS,
    ),
    Mutation(
        name="spec-update-overwrites-the-status",
        rule="an update by spec version leaves what the system wrote",
        file="swarmtui/store/judge.py",
        old="    if operation.version is None:\n        record = _spec_only(stored, record)",
        new="    if False:\n        record = _spec_only(stored, record)",
        tests=OPERATIONS,
    ),
    Mutation(
        name="half-a-transaction-stays",
        rule="a transaction happens whole or not at all",
        file="swarmtui/store/judge.py",
        old="    except Refusal as refusal:\n        ledger.take_back()",
        new="    except Refusal as refusal:",
        tests=OPERATIONS,
    ),
    Mutation(
        name="one-version-for-two-writes",
        rule="two transactions of one entry never write the same object",
        file="swarmtui/store/store.py",
        old="        if found == index:\n            return None",
        new="        if False:\n            return None",
        tests=APPLY,
    ),
    Mutation(
        name="batch-with-two-writes-of-one-object",
        rule="the next transaction that writes an object begins a new entry",
        file="swarmtui/store/batching.py",
        old="if self._count and (full or not self._written.isdisjoint(objects)):",
        new="if self._count and full:",
        tests=APPLY,
    ),
    Mutation(
        name="port-published-twice",
        rule="a port is published by one service",
        file="swarmtui/store/tables.py",
        old="            if other is not None and other != record.id:\n                name",
        new="            if False:\n                name",
        tests=OPERATIONS,
    ),
    Mutation(
        name="stale-index",
        rule="indexes agree with the rows",
        file="swarmtui/store/tables.py",
        old="            for index, group in self._groups(before):\n                index.drop(group, before.id)",
        new="            self._by_service.drop(before.service_id, before.id)",
        tests=APPLY,
    ),
    Mutation(
        name="apply-asks-the-clock",
        rule="apply is a function of the store and the entry",
        file="swarmtui/store/judge.py",
        old="    time = ledger.time\n    stamped",
        new="    import time as clock\n\n    time = clock.time()\n    stamped",
        tests=(*OPERATIONS, *APPLY),
    ),
    Mutation(
        name="malformed-transaction-ends-the-entry",
        rule="apply is total: bad data is a result",
        file="swarmtui/store/store.py",
        old="        except codec.MalformedObject as error:\n            return Result(",
        new="        except ZeroDivisionError as error:\n            return Result(",
        tests=APPLY,
    ),
    Mutation(
        name="slow-watcher-misses-in-silence",
        rule="a watcher that cannot follow takes a resync",
        file="swarmtui/store/watch.py",
        old='            self.miss(index, f"{len(self._waiting)} changes waited, at most {self._limit} can")',
        new="            del self._waiting[: -self._limit]",
        tests=WATCH,
    ),
    Mutation(
        name="frozen-store-changes",
        rule="what was frozen never changes",
        file="swarmtui/store/shards.py",
        old="        if self._shared[number]:",
        new="        if False:",
        tests=(*SNAPSHOT, "tests/store/test_store_shards.py"),
    ),
    Mutation(
        name="snapshot-without-an-end",
        rule="a snapshot that was cut off is never taken for a whole one",
        file="swarmtui/store/snapshot.py",
        old='    raise MalformedSnapshot(f"the snapshot ends after {count} objects without its end block")',
        new="    tables[KV] = keys.freeze()\n    return attrs.evolve(head, tables=tables)",
        tests=SNAPSHOT,
    ),
)
