"""`up`, `down`, `ls` and `console`: which cluster is meant, what is created or changed, and what is said when it is not well."""

from __future__ import annotations

import signal
from pathlib import Path

import attrs
import pytest
import trio

from swarmtui.commands.errors import CommandFailed, SomeFailed, WrongUsage
from swarmtui.commands.output import Failure, Line, Note, Progress, Recorder
from swarmtui.objects.operations import Create, Update
from swarmtui.objects.records import Node, NodeStatus, Service
from swarmtui.objects.specs import ReplicatedMode
from swarmtui.objects.states import Availability, NodeState, TaskState
from swarmtui.wire.host_calls import Power, PublishedPort
from tests.commands.fake_answers import FakeNoQuorum
from tests.commands.fake_machine import FakeMachine

FILE = """
[cluster]
name = "dev"
managers = 3
workers = 1
[services.web]
command = "sleep 100"
scale = 2
"""


@pytest.fixture
def empty(machine: FakeMachine) -> FakeMachine:
    machine.cluster = None
    return machine


def write(base: Path, text: str = FILE) -> Path:
    path = base / "cluster.toml"
    path.write_text(text)
    return path


def texts(out) -> list[str]:
    return [item.text for item in out.items if isinstance(item, (Line, Note, Failure))]


async def test_up_creates_applies_waits_and_returns(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    out = await order("up -d")
    assert texts(out) == [
        "created cluster dev: 3 managers, 1 worker",
        "created web",
        "dev is up: leader n1, 4 of 4 nodes ready, 2 tasks running",
    ]
    assert [item for item in out.items if isinstance(item, Progress)][-1].done


async def test_up_again_changes_nothing(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    out = await order("up -d")
    assert texts(out) == ["dev is up: leader n1, 4 of 4 nodes ready, 2 tasks running"]


async def test_up_applies_only_what_the_file_changed(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    await order("service scale -d web=5")
    assert "updated web" not in texts(await order("up -d"))  # the file says what it said: a scale by hand stays
    write(tmp_path, FILE.replace("scale = 2", "scale = 3") + '[services.api]\ncommand = "sleep 1"\n')
    out = await order("up -d")
    assert texts(out)[:2] == ["created api", "updated web"]
    assert empty.cluster.store.by_name(Service, "web").spec.mode == ReplicatedMode(3)
    write(tmp_path)
    assert "api is in the file no more and goes on; remove it with: swarmtui service rm api" in texts(
        await order("up -d")
    )


async def test_up_refuses_what_it_cannot_change_with_the_command_that_does(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    write(
        tmp_path,
        FILE.replace('name = "dev"', 'name = "dev"\nprofile = "docker"').replace("workers = 1", "workers = 2")
        + '[nodes.n2]\navailability = "drain"\nlabels = { disk = "ssd" }\n',
    )
    with pytest.raises(SomeFailed):
        await order("up -d")
    write(tmp_path, FILE.replace("scale = 2", 'deploy = { mode = "global" }'))
    with pytest.raises(SomeFailed):
        await order("up -d")


async def test_differences_are_named(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    write(
        tmp_path,
        FILE.replace("workers = 1", "workers = 2") + '[nodes.n2]\navailability = "drain"\nlabels = { disk = "ssd" }\n',
    )
    out = await order("up", is_terminal=True)
    said = texts(out)
    join = "swarmtui swarm join --role worker --name n5 --label zone=b"
    assert f"the file has a node n5 that the cluster has not: {join}" in said
    assert "n2 is to be drain in the file: swarmtui node update --availability drain n2" in said
    assert "n2 has other labels in the file: swarmtui node update --label-add disk=ssd n2" in said
    node = next(node for node in empty.cluster.store.all(Node) if node.name == "n2")
    spec = attrs.evolve(node.spec, availability=Availability.DRAIN, labels={**node.spec.labels, "disk": "ssd"})
    empty.cluster.write(Update(attrs.evolve(node, spec=spec), spec_version=node.spec_version))
    assert not any("n2" in line for line in texts(await order("up", is_terminal=True)))


async def test_without_a_file_the_packaged_default_says_so_first(order, empty, tmp_path, autojump_clock):
    out = await order("up")
    assert texts(out)[0] == (
        f"no cluster.toml from here upward: this is the packaged default cluster 'demo', its data in {tmp_path / 'state'}"
    )
    assert not (tmp_path / ".swarmtui").exists()


async def test_bare_clusters_are_made_here(order, empty, tmp_path, autojump_clock):
    out = await order("up --managers 1 --workers 2")
    assert "created cluster" in texts(out)[0]
    assert (tmp_path / ".swarmtui").is_dir()
    assert len(empty.created[0].services) == 0
    assert len(empty.created[0].nodes) == 3


async def test_a_count_of_managers_that_cannot_be_is_refused_with_those_that_can(order, empty, tmp_path):
    for count in (0, -1, 16):
        with pytest.raises(WrongUsage, match=f"^--managers: must be a whole number from 1 to 15, not {count}$"):
            await order(f"up -d --managers {count}")


async def test_a_named_file_is_used_and_a_missing_one_refused(order, empty, tmp_path, autojump_clock):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub")
    await order("up -f sub/cluster.toml")
    assert (tmp_path / "sub" / ".swarmtui").is_dir()
    await order("up -f sub")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandFailed, match=r"^there is no cluster\.toml in empty$"):
        await order("up -f empty -d")
    with pytest.raises(CommandFailed, match=r"there is no file nope\.toml"):
        await order("up -f nope.toml")
    with pytest.raises(WrongUsage, match="choose one"):
        await order("up --cluster dev -f sub/cluster.toml")


async def test_a_bad_file_is_one_sentence_and_nothing_is_made(order, empty, tmp_path):
    write(tmp_path, "[cluster]\nmanager = 3\n")
    with pytest.raises(
        CommandFailed, match=r"cluster\.toml: cluster\.manager: is no known key; did you mean managers\?"
    ):
        await order("up")
    write(tmp_path).write_bytes(b"\xff\xfe")
    with pytest.raises(CommandFailed, match="cannot be read: it is not UTF-8"):
        await order("up")
    assert not (tmp_path / ".swarmtui").exists()


async def test_variables_come_from_the_env_file_beside(order, empty, tmp_path, autojump_clock):
    write(tmp_path, FILE.replace("sleep 100", "sleep ${HOW_LONG} ${NOT_SET}"))
    (tmp_path / ".env").write_text("HOW_LONG=7\n")
    out = await order("up -d")
    assert empty.created[0].services["web"].task_template.container_spec.args == ("sleep", "7")
    assert "variable NOT_SET is not set and counts as empty" in texts(out)
    (tmp_path / ".env").write_text("nonsense\n")
    with pytest.raises(CommandFailed, match="line 1: 'nonsense' is no KEY=value"):
        await order("up -d")


async def test_what_is_missing_is_listed_after_the_limit(order, empty, tmp_path, autojump_clock):
    write(tmp_path)

    def break_it(cluster) -> None:
        node = next(node for node in cluster.store.all(Node) if node.name == "n4")
        cluster.write(Update(attrs.evolve(node, status=NodeStatus(NodeState.DOWN)), version=node.version))
        cluster.states = {"n4": "paused"}
        cluster.disks = {"n1": "n1's disk has 5 bytes free, 67108864 are kept in reserve; free some space"}
        cluster.play = lambda cluster: None

    empty.after_connect = break_it
    with pytest.raises(CommandFailed) as failed:
        await order("up -d --wait-timeout 2s")
    assert str(failed.value) == (
        "not healthy after 2 s: n4 is paused, not ready; web has 0 of 2 tasks running; n1's disk has 5 bytes free, "
        "67108864 are kept in reserve; free some space. It goes on; look with: swarmtui status"
    )


async def test_no_leader_is_said_with_the_count(order, empty, tmp_path, autojump_clock):
    write(tmp_path)

    def break_it(cluster) -> None:
        cluster.leader, cluster.states = None, {"n2": "down", "n3": "down"}

    empty.after_connect = break_it
    with pytest.raises(CommandFailed, match="no leader, 1 of 3 managers answer, 2 needed"):
        await order("up -d --wait-timeout 1s")


async def test_a_refused_manager_is_named_and_the_others_come_up(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    empty.cluster.host.powers["n3"] = (Power.REFUSED, "its directory is gone: it must be removed and join anew")
    empty.cluster.states = {"n3": "down"}
    with pytest.raises(SomeFailed):
        await order("up -d")
    assert texts(order.out) == [
        "n3: its directory is gone: it must be removed and join anew",
        "dev is up: leader n1, 3 of 4 nodes ready, 2 tasks running",
    ]


async def test_so_many_refused_managers_that_no_quorum_is_left(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    for name in ("n2", "n3"):
        empty.cluster.host.powers[name] = (Power.REFUSED, "its directory is gone")
        empty.cluster.states[name] = "down"
    empty.cluster.leader = None
    with pytest.raises(CommandFailed, match="n2: its directory is gone; n3: its directory is gone"):
        await order("up -d --wait-timeout 10s")


async def test_managers_that_end_by_themselves_again_are_not_waited_for(order, empty, tmp_path, autojump_clock):
    """On a full disk each ended as soon as it was started, and all that was said, after 30 s, was that none answers."""
    write(tmp_path)
    await order("up -d")
    host = empty.cluster.host
    host.powers["n2"] = host.ends["n2"] = (Power.EXITED, "ended with status 1: no space left on device")
    host.powers["n3"] = (Power.REFUSED, "its directory is gone")
    for name in ("n2", "n3"):
        empty.cluster.states[name] = "down"
    empty.cluster.leader = None
    with pytest.raises(
        CommandFailed, match="n2: ended with status 1: no space left on device; n3: its directory is gone"
    ):
        await order("up -d --wait-timeout 10s")


async def test_up_starts_what_was_killed_or_stopped(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    await order("up -d")
    empty.cluster.host.powers |= {"n2": (Power.KILLED, ""), "n4": (Power.STOPPED, ""), "n3": (Power.PAUSED, "")}
    await order("up -d")
    assert empty.cluster.host.orders == ["start n2", "start n4"]


async def test_an_unplaceable_service_is_named_and_does_not_hold_up(order, empty, tmp_path, autojump_clock):
    write(tmp_path)

    def unplaceable(cluster) -> None:
        for service in cluster.store.all(Service):
            if not cluster.store.tasks(service_id=service.id):
                for slot in (1, 2):
                    cluster.write(Create(pending(service, slot)))

    from swarmtui.objects.records import Task, TaskStatus

    def pending(service: Service, slot: int) -> Task:
        status = TaskStatus(TaskState.PENDING, error="no suitable node (there are no nodes)")
        return Task(
            id=f"p{slot}".ljust(25, "0"),
            service_id=service.id,
            service_name=service.name,
            slot=slot,
            spec=service.spec.task_template,
            status=status,
        )

    empty.after_connect = lambda cluster: setattr(cluster, "play", unplaceable)
    out = await order("up -d")
    assert "web: no suitable node (there are no nodes)" in texts(out)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (TaskState.COMPLETE, []),
        (TaskState.FAILED, ["web: 2 of 2 tasks failed and are not restarted: task: non-zero exit (3)"]),
    ],
)
async def test_a_service_that_ran_once_does_not_hold_up(order, empty, tmp_path, autojump_clock, state, said):
    write(tmp_path)

    error = "task: non-zero exit (3)" if state is TaskState.FAILED else ""
    empty.after_connect = lambda cluster: setattr(
        cluster, "play", lambda cluster: cluster.run_services_once(state, error)
    )
    out = await order("up -d")
    assert texts(out)[-1 - len(said) : -1] == said
    assert texts(out)[-1].startswith("dev is up")


async def test_down_stops_and_is_idempotent(order, cluster, machine):
    out = await order("down")
    assert out.items[-1] == Line("dev is down")
    assert not cluster.running
    out = await order("down")
    assert out.items == [Note("dev is not running")]
    out = await order("down --volumes")
    assert machine.removed == [cluster.directory]


async def test_ls_lists_clusters(order, cluster):
    (listing,) = (await order("ls")).items
    assert listing.rows[0].values == {
        "Name": "dev",
        "Status": "running",
        "Nodes": 4,
        "ID": cluster.manifest.id,
        "Directory": str(cluster.directory),
    }


async def test_detach_and_foreground_exclude_each_other(order, empty, tmp_path):
    write(tmp_path)
    with pytest.raises(WrongUsage, match="choose one"):
        await order("up -d --foreground")


async def test_a_bare_cluster_here_is_resumed(order, empty, tmp_path, autojump_clock):
    await order("up --managers 1")
    (tmp_path / ".swarmtui").chmod(0o700)
    (tmp_path / ".swarmtui" / "cluster.json").write_text("{}")
    out = await order("up -d")
    assert texts(out) == [f"{empty.cluster.manifest.name} is up: leader n1, 1 of 1 nodes ready, 0 tasks running"]
    (tmp_path / ".swarmtui").chmod(0o777)  # others may write there: it is not believed
    assert "packaged default" in texts(await order("up -d"))[0]


async def test_a_published_port_that_is_taken_is_said(order, empty, tmp_path, autojump_clock):
    write(tmp_path)
    ports = (PublishedPort(8080, "web", trouble="it is taken"), PublishedPort(8081, "web", 2, listening=True))
    empty.after_connect = lambda cluster: setattr(cluster.host, "published", ports)
    assert texts(await order("up -d"))[-2:] == [
        "port 8080 of web does not listen: it is taken",
        "dev is up: leader n1, 4 of 4 nodes ready, 2 tasks running",
    ]


async def test_a_node_that_ends_by_itself_again_is_named_with_its_reason_and_not_waited_for(
    order, empty, tmp_path, autojump_clock
):
    write(tmp_path)
    await order("up -d")

    def break_it(cluster) -> None:
        node = next(node for node in cluster.store.all(Node) if node.name == "n4")
        cluster.write(Update(attrs.evolve(node, status=NodeStatus(NodeState.DOWN)), version=node.version))

        async def stays_off(node: str, action: str, for_s: float | None = None) -> str:
            cluster.host.powers["n4"] = (Power.EXITED, "ended with status 1: port 7104 is taken")
            return ""

        cluster.host.powers["n4"] = (Power.EXITED, "")
        cluster.host.power = stays_off

    empty.after_connect = break_it
    began = trio.current_time()
    with pytest.raises(SomeFailed):
        await order("up -d --wait-timeout 30s")
    assert trio.current_time() - began < 2
    gone, summary = texts(order.out)
    assert gone == "n4: ended with status 1: port 7104 is taken; try again with: swarmtui start n4"
    assert summary.startswith("dev is up: leader n1, 3 of 4 nodes ready")


async def test_ctrl_c_in_the_foreground_is_down(order, empty, tmp_path):
    write(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(order, "up --foreground")
        with trio.fail_after(10):
            while not any("dev is up" in line for line in texts(getattr(order, "out", Recorder()))):
                await trio.sleep(0.01)
        signal.raise_signal(signal.SIGINT)
    assert texts(order.out)[-2:] == ["stopping dev …", "dev is down"]
    assert not empty.cluster.running


async def test_the_packaged_default_can_be_deleted_once_it_is_stopped(order, empty, tmp_path, autojump_clock):
    await order("up -d")
    await order("down")
    empty.find = raise_nothing_here
    out = await order("down --volumes")
    assert texts(out)[0] == "demo is not running"
    assert empty.removed == [tmp_path / "state" / ".swarmtui"]
    with pytest.raises(FakeNoQuorum):
        await order("down --cluster other")


def raise_nothing_here(selector: str | None, start: Path) -> Path:
    raise FakeNoQuorum("no cluster here")
