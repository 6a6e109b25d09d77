"""Compare-and-swap among many, and a log that stays short."""

import concurrent.futures

import pytest

from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster


def test_of_eight_writers_with_one_version_exactly_one_succeeds(cluster: RealCluster):
    cluster.up(managers=3)
    version = cluster.run("kv", "put", "seat", "free").stdout.strip()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda n: cluster.run("kv", "cas", "seat", version, f"writer-{n}", expect=None), range(8)))
    codes = sorted(run.returncode for run in runs)
    assert codes == [0, 1, 1, 1, 1, 1, 1, 1]
    won = next(run.stdout.strip() for run in runs if run.returncode == 0)
    assert int(won) > int(version)
    for run in runs:
        if run.returncode == 1:
            assert version in run.stderr
            assert won in run.stderr
    assert cluster.run("kv", "cas", "seat", "0", "again", expect=1)
    assert cluster.run("kv", "cas", "new", "0", "first")


def test_a_manager_that_was_away_catches_up_by_snapshot(cluster: RealCluster):
    cluster.up(
        '[cluster]\nname = "short"\nmanagers = 3\n[raft]\nsnapshot_every = 50\nkeep_entries = 10\n',
    )
    away = cluster.followers()[0]
    cluster.run("kill", away)
    cluster.write_many([(f"key-{number % 7}", str(number)) for number in range(80)])
    first = max(node.get("first") or 0 for node in cluster.raft_states())
    assert first > 20, "the log was compacted"
    cluster.run("start", away)
    wait_for("the node caught up", lambda: lag(cluster, away) == 0)
    assert cluster.run("kv", "get", "key-0").stdout.strip() == "77"
    assert next(node for node in cluster.raft_states() if node["node"] == away)["snapshot"] > 0


def lag(real: RealCluster, name: str) -> int:
    nodes = real.status()["nodes"]
    applied = next(node["applied"] for node in nodes if node["name"] == name)
    return max(node["commit"] or 0 for node in nodes) - (applied or 0)
