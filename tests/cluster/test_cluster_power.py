"""A power cut of the whole machine, a directory that was lost, and a machine that slept."""

import random
import shutil
import signal

import psutil
import pytest

from tests.cluster.conftest import FILE, RealCluster, is_whole, wait_for

pytestmark = pytest.mark.cluster


def test_after_a_power_cut_the_same_cluster_is_back_with_every_acknowledged_write(cluster: RealCluster):
    cluster.up(FILE.format(name="cut", managers=3, workers=1, web=4))
    before = cluster.status()
    cluster.wait_running("web", 4)
    cluster.write_many([(f"key-{number}", str(number)) for number in range(30)])
    cluster.kill_everything()
    wait_for("nothing left running", lambda: not cluster.everything())

    cluster.run("up", "-d")
    after = cluster.status()
    assert after["cluster"] == before["cluster"]
    assert {node["id"] for node in after["nodes"]} == {node["id"] for node in before["nodes"]}
    keys = {entry["key"]: entry["value"] for entry in cluster.run("kv", "ls", "--format", "json").json}
    assert keys == {f"key-{number}": str(number) for number in range(30)}
    cluster.wait_running("web", 4)


def test_a_manager_whose_directory_is_gone_is_refused_and_the_others_start(cluster: RealCluster):
    cluster.up(managers=3)
    cluster.run("kv", "put", "kept", "yes")
    cluster.kill_everything()
    wait_for("nothing left running", lambda: not cluster.everything())
    shutil.rmtree(cluster.data / "nodes" / "n2")

    cluster.run("up", "-d", "--wait-timeout", "15s", expect=None)
    wait_for("a leader of two", lambda: cluster.status()["leader"])
    assert cluster.run("kv", "get", "kept").stdout.strip() == "yes"
    report = cluster.ask(lambda connected: connected.host.report())
    lost = next(node for node in report.nodes if node.name == "n2")
    assert str(lost.power) == "refused"
    assert "join" in lost.text
    assert not (cluster.data / "nodes" / "n2" / "raft").exists()


def test_the_death_of_the_host_is_a_power_cut(cluster: RealCluster):
    cluster.up(FILE.format(name="host", managers=3, workers=1, web=4))
    psutil.Process(cluster.host_pid()).send_signal(signal.SIGKILL)
    wait_for("nothing left running", lambda: not cluster.everything())
    assert "up" in cluster.run("status", expect=4).stderr


def test_a_machine_that_slept_restarts_no_task_and_holds_at_most_one_election(cluster: RealCluster):
    cluster.up(FILE.format(name="sleep", managers=3, workers=1, web=4))
    pids = {name: task.pid for name, task in cluster.wait_running("web", 4).items()}
    term = cluster.status()["term"]
    processes = cluster.everything()
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    stopped = wait_for("all stopped", lambda: all(one.status() == psutil.STATUS_STOPPED for one in processes))
    assert stopped
    slept_s = 8.0  # longer than any timeout of the profile: three times the node timeout
    _let_time_pass(slept_s)
    random.Random(slept_s).shuffle(processes)
    for process in processes:
        process.send_signal(signal.SIGCONT)
    wait_for("a whole cluster", lambda: is_whole(cluster))
    assert cluster.status()["term"] <= term + 1
    assert {name: task.pid for name, task in cluster.wait_running("web", 4).items()} == pids


def _let_time_pass(seconds: float) -> None:
    """Nothing is waited for here: sleeping is what the machine does."""
    psutil.cpu_percent(interval=seconds)


def test_with_the_host_stopped_a_killed_leader_is_replaced_all_the_same(cluster: RealCluster):
    cluster.up(FILE.format(name="stopped", managers=3, workers=1, web=4))
    before = cluster.wait_running("web", 4)
    leader = cluster.leader()
    host = psutil.Process(cluster.host_pid())
    host.send_signal(signal.SIGSTOP)
    psutil.Process(cluster.node(leader)["pid"]).send_signal(signal.SIGKILL)
    wait_for("another leader", lambda: cluster.status()["leader"] not in (leader, None))
    others = {node["name"] for node in cluster.status()["nodes"]} - {leader}
    after = cluster.wait_running("web", 4, on=others)
    kept = {name: task.pid for name, task in before.items() if task.node != leader}
    assert {name: after[name].pid for name in kept} == kept
    host.send_signal(signal.SIGCONT)
