"""A manager whose disk lies: it is refused in one line that says what to do, and the others go on."""

import pytest

from tests.cluster.conftest import RealCluster, wait_for

pytestmark = pytest.mark.cluster


def test_a_flipped_bit_refuses_the_manager_to_whoever_starts_it_and_a_new_one_takes_its_place(cluster: RealCluster):
    cluster.up(managers=3)
    cluster.run("kv", "put", "kept", "yes")
    cluster.run("stop", "n2")
    segment = cluster.data / "nodes" / "n2" / "raft" / "00000001.log"
    data = bytearray(segment.read_bytes())
    data[100] ^= 1
    segment.write_bytes(data)

    said = cluster.run("start", "n2", expect=1).stderr
    assert len(said.splitlines()) == 1
    assert f"{segment} is damaged at byte" in said
    commands = "swarmtui node rm --force n2 && swarmtui swarm join --role manager --name n2"
    assert said.rstrip().endswith(commands)
    assert cluster.run("kv", "get", "kept").stdout.strip() == "yes"
    assert commands in cluster.run("up", "-d", expect=1).stderr

    cluster.run("node", "rm", "--force", "n2")
    cluster.run("swarm", "join", "--role", "manager", "--name", "n2")
    wait_for("it to be whole again", lambda: cluster.node("n2")["state"] == "follower")
    assert "Traceback" not in (cluster.data / "nodes" / "n2" / "node.log").read_text()


def test_a_file_that_is_missing_is_named_with_what_to_do(cluster: RealCluster):
    cluster.up(managers=3)
    cluster.run("stop", "n2")
    missing = cluster.data / "nodes" / "n2" / "ca.pem"
    kept = missing.rename(cluster.directory / "ca.pem")
    said = cluster.run("start", "n2", expect=1).stderr.strip()
    assert said == (
        f"swarmtui: n2 is refused: {missing}: No such file or directory; mend that and start it again: swarmtui start n2"
    )
    kept.rename(missing)
    cluster.run("start", "n2")
    wait_for("it to follow", lambda: cluster.node("n2")["state"] == "follower")
