"""A task reaches kv with a certificate of its own, and nothing else."""

import json

import pytest

from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster

FILE = """
[cluster]
name = "tasks"
managers = 3

[services.writer]
command = ["sh", "-c", '''{script}''']
"""

SCRIPT = """
python -m swarmtui kv put from-task hello
python -m swarmtui lock mine -- python -m swarmtui kv put under-lock hello
python -m swarmtui service ls 2> refused; echo $$? >> refused
python -m swarmtui node update --availability drain n1 2>> refused; echo $$? >> refused
python -m swarmtui kv put finished yes
sleep 300
"""


def test_a_task_reads_and_writes_kv_and_nothing_else(cluster: RealCluster):
    cluster.up(FILE.format(script=SCRIPT))
    wait_for("what the task wrote", lambda: cluster.run("kv", "get", "finished", expect=None).returncode == 0)
    assert cluster.run("kv", "get", "from-task").stdout.strip() == "hello"
    assert cluster.run("kv", "get", "under-lock").stdout.strip() == "hello"
    refused = (cluster.directory / "refused").read_text()
    assert refused.count("a task may read kv alone, not ") == 2
    assert refused.splitlines()[1::2] == ["1", "1"]
    events = [json.loads(line) for line in cluster.run("events", "--no-follow", "--format", "json").stdout.splitlines()]
    assert any(event["kind"] == "refused" and "a task on n" in event["text"] for event in events)
    assert {row["Availability"] for row in cluster.run("node", "ls", "--format", "json").json} == {"Active"}
