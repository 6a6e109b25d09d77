"""cluster.toml: what it makes of a valid file, and the one sentence for each wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.objects.cluster_file import (
    PROFILES,
    ClusterFile,
    InvalidClusterFile,
    bare_cluster_file,
    parse_cluster_file,
)
from swarmtui.objects.states import Availability, NodeRole


def parse(text: str, **how) -> ClusterFile:
    how.setdefault("environment", {})
    how.setdefault("name", "here")
    return parse_cluster_file(text, **how)


def refusal(text: str, **how) -> str:
    with pytest.raises(InvalidClusterFile) as refused:
        parse(text, **how)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_empty_file_is_three_managers_of_the_fast_profile():
    file = parse("")
    assert (file.name, file.profile) == ("here", "fast")
    assert [(node.name, node.role, node.labels) for node in file.nodes] == [
        ("n1", NodeRole.MANAGER, {"zone": "a"}),
        ("n2", NodeRole.MANAGER, {"zone": "b"}),
        ("n3", NodeRole.MANAGER, {"zone": "c"}),
    ]
    assert not file.services
    assert not file.nodes_named
    assert file.task_ports == (20_000, 29_999)


def test_managers_come_first_and_zones_by_turns():
    file = parse("[cluster]\nmanagers = 2\nworkers = 3\n")
    assert [(node.name, str(node.role), node.labels["zone"]) for node in file.nodes] == [
        ("n1", "manager", "a"),
        ("n2", "manager", "b"),
        ("n3", "worker", "c"),
        ("n4", "worker", "a"),
        ("n5", "worker", "b"),
    ]
    assert len(file.managers) == 2


def test_tables_of_nodes_refine_counted_ones():
    file = parse(
        """
        [cluster]
        managers = 3
        [nodes.n2]
        address = "localhost:7102"
        availability = "drain"
        labels = { disk = "ssd", zone = "z" }
        """
    )
    node = file.nodes[1]
    assert (node.address, node.availability) == ("127.0.0.1:7102", Availability.DRAIN)
    assert node.labels == {"zone": "z", "disk": "ssd"}
    assert file.nodes[0].labels == {"zone": "a"}


def test_tables_of_nodes_alone_name_every_node():
    file = parse('[nodes.alpha]\nrole = "manager"\n[nodes.beta]\nlabels = ["zone=x"]\n')
    assert [(node.name, str(node.role), node.labels) for node in file.nodes] == [
        ("alpha", "manager", {}),
        ("beta", "worker", {"zone": "x"}),
    ]
    assert file.nodes_named


def test_the_command_lines_counts_stand_above_the_files():
    file = parse("[cluster]\nmanagers = 3\nworkers = 1\n", managers=1, workers=0)
    assert [node.name for node in file.nodes] == ["n1"]
    assert "--managers: must be a whole number from 1" in refusal("", managers=0)


def test_a_bare_cluster_has_nodes_and_no_services():
    file = bare_cluster_file("x", 3, 2)
    assert (len(file.managers), len(file.nodes), len(file.services)) == (3, 5, 0)


@pytest.mark.parametrize("name", list(PROFILES))
def test_profiles_fill_in_what_the_file_leaves_out(name):
    file, profile = parse(f'[cluster]\nprofile = "{name}"\n'), PROFILES[name]
    assert file.raft == profile.raft
    assert (file.agent_heartbeat_s, file.node_timeout_s) == (profile.agent_heartbeat_s, profile.node_timeout_s)
    assert file.restart_delay_s == profile.restart_delay_s
    assert file.restart_delay_after_death_s == profile.restart_delay_after_death_s


def test_the_profiles_are_the_designs_table():
    figures = {
        name: (
            profile.raft.heartbeat_s,
            profile.raft.election_timeout_s,
            profile.raft.hurry,
            profile.agent_heartbeat_s,
            profile.node_timeout_s,
            profile.restart_delay_s,
            profile.restart_delay_after_death_s,
        )
        for name, profile in PROFILES.items()
    }
    assert figures == {
        "fast": (0.1, 0.5, True, 1.0, 3.0, 1.0, 0.0),
        "classroom": (0.5, 3.0, False, 1.0, 3.0, 1.0, 0.0),
        "docker": (1.0, 10.0, False, 5.0, 15.0, 5.0, 5.0),
    }


def test_single_values_override_the_profile():
    file = parse(
        """
        [cluster]
        profile = "docker"
        node_timeout = "20s"
        agent_heartbeat = "2s"
        restart_delay = "500ms"
        restart_delay_after_death = "0"
        task_history_limit = -1
        task_ports = "30000-30099"
        [raft]
        heartbeat = "200ms"
        election_timeout = "1s"
        snapshot_every = 100
        keep_entries = 7
        disk_reserve = "1GB"
        hurry = true
        """
    )
    assert (file.node_timeout_s, file.agent_heartbeat_s, file.restart_delay_s) == (20.0, 2.0, 0.5)
    assert (file.restart_delay_after_death_s, file.task_history_limit) == (0.0, -1)
    assert file.task_ports == (30_000, 30_099)
    assert (file.raft.heartbeat_s, file.raft.election_timeout_s) == (0.2, 1.0)
    assert (file.raft.snapshot_every, file.raft.snapshot_every_set, file.raft.keep_entries) == (100, True, 7)
    assert (file.raft.disk_reserve_bytes, file.raft.hurry) == (1024**3, True)


def test_variables_are_replaced_everywhere_and_missing_ones_noted():
    file = parse(
        """
        [cluster]
        name = "${NAME:-dev}"
        managers = "${COUNT}"
        [services.web]
        command = "run ${HOST} $$HOME"
        """,
        environment={"COUNT": "5"},
    )
    assert file.name == "dev"
    assert len(file.nodes) == 5
    assert file.services["web"].task_template.container_spec.args == ("run", "$HOME")
    assert file.notes == ("variable HOST is not set and counts as empty",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[cluster", "is no valid TOML: "),
        ("x = 1", "x: is no known key; valid: cluster, nodes, raft, services"),
        ("[clutser]", "clutser: is no known key; did you mean cluster? valid:"),
        ("cluster = 3", "cluster: must be a table, not 3"),
        ("[secrets.a]", "secrets: is not supported here; there are no secrets yet"),
        ("[cluster]\nprofil = 'fast'", "cluster.profil: is no known key; did you mean profile?"),
        ("[cluster]\nprofile = 'slow'", "cluster.profile: 'slow' is no profile"),
        ("[cluster]\nprofile = 3", "cluster.profile: must be a text in quotes, not 3"),
        ("[cluster]\nname = 'a b'", "cluster.name: 'a b' cannot be a cluster's name"),
        ("[cluster]\nmanagers = 0", "cluster.managers: must be a whole number from 1 to 15, not 0"),
        ("[cluster]\nmanagers = 1.5", "cluster.managers: must be a whole number from 1 to 15, not 1.5"),
        ("[cluster]\nmanagers = true", "cluster.managers: must be a whole number from 1 to 15, not True"),
        ("[cluster]\nworkers = 100", "nodes: 103 nodes; a cluster has at most 100"),
        ("[cluster]\nnode_timeout = 3", 'cluster.node_timeout: 3 is no duration; write a duration such as "500ms"'),
        ("[cluster]\nnode_timeout = '1s'", "cluster.node_timeout: must be at least twice cluster.agent_heartbeat"),
        ("[cluster]\nrestart_delay = 'soon'", "cluster.restart_delay: 'soon' is no duration"),
        ("[cluster]\ntask_history_limit = -2", "cluster.task_history_limit: must be a whole number of at least -1"),
        (
            "[cluster]\ntask_ports = '80-90'",
            "cluster.task_ports: '80-90': a range of ports goes upward from at least 1024",
        ),
        ("[cluster]\ntask_ports = '20000'", "cluster.task_ports: '20000' is no range of ports"),
        ("[raft]\nheartbeat = '1s'", "raft.election_timeout: must be at least twice raft.heartbeat, which is 1s"),
        ("[raft]\nheartbeat = '0s'", "raft.heartbeat: '0s' must be from 1ms to 1h"),
        ("[raft]\nsnapshot_every = 0", "raft.snapshot_every: must be a whole number of at least 1, not 0"),
        ("[raft]\nhurry = 'maybe'", "raft.hurry: must be true or false, not 'maybe'"),
        ("[raft]\ndisk_reserve = '1x'", "raft.disk_reserve: '1x' is no size"),
        ("[nodes.n1]\nrole = 'boss'", "nodes.n1.role: must be one of manager, worker, not 'boss'"),
        ("[nodes.n1]", "nodes: 0 managers; a cluster has from 1 to 15; write cluster.managers = 3, or role"),
        ("nodes = 3", "nodes: must hold tables such as [nodes.NAME], not 3"),
        (
            "[cluster]\nmanagers = 1\n[nodes.n2]",
            "nodes.n2: is not one of n1 to n1, which 1 managers and 0 workers make",
        ),
        ("[cluster]\nmanagers = 1\n[nodes.n1]\nrole = 'worker'", "nodes.n1.role: worker contradicts the counts"),
        ("[nodes.leader]\nrole = 'manager'", "nodes.leader: 'leader' is a word of the command line"),
        ("[nodes.'a b']\nrole = 'manager'", "nodes.a b: 'a b' cannot be a node's name"),
        ("[nodes.n1]\naddress = '10.0.0.1:1'", "nodes.n1.address: '10.0.0.1:1' is no loopback address"),
        ("[nodes.n1]\naddress = '127.0.0.1:99999'", "nodes.n1.address: '127.0.0.1:99999' is no loopback address"),
        (
            "[nodes.a]\nrole='manager'\naddress='127.0.0.1:7000'\n[nodes.b]\naddress='localhost:7000'",
            "nodes.a.address: 127.0.0.1:7000 is another node's as well",
        ),
        ("[nodes.n1]\navailability = 'gone'", "nodes.n1.availability: must be one of active, pause, drain"),
        ("[nodes.n1]\nlabels = 3", 'nodes.n1.labels: must be a table or a list of "KEY=value"'),
        ("[cluster]\nname = '${'", "cluster.name: '${' names no variable after ${"),
        ("[services]\nweb = 3", "services.web: must be a table, not 3"),
        (
            "[services.a]\ncommand='x'\nports=[80]\n[services.b]\ncommand='x'\nports=['80:auto']",
            "services.b.ports: port 80 is published by a already",
        ),
    ],
)
def test_wrong_files_are_refused_by_key(text, sentence):
    assert sentence in refusal(text)


def test_a_file_that_is_too_large_is_refused():
    assert "larger than" in refusal("#" * (1024 * 1024 + 1))


@given(st.text(max_size=300))
def test_any_text_is_a_cluster_or_a_refusal(text):
    try:
        parse(text)
    except InvalidClusterFile as refused:
        words = str(refused)
    else:
        words = "a cluster"
    assert words
