"""What a task is given. Goal: which of its sources wins, templates, how the program is found, and every refusal's words."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmtui.agent.environment import Program, Surroundings, make_program, names_port
from swarmtui.agent.executor import TaskRejected
from swarmtui.agent.ports import Ports, is_free
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.records import Task
from swarmtui.objects.specs import ContainerSpec, PortConfig, TaskSpec
from tests.agent.fakes import NODE, make_task
from tests.ports import free_ports


def surroundings(root: Path, **environment: str) -> Surroundings:
    directory = root / ".swarmtui" / "nodes" / NODE.name
    directory.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(id="c1", name="dev", profile="fast", created_at=0.0, nodes=(NODE,), cluster_file="cluster.toml")
    return Surroundings(manifest, NODE, directory, {"PATH": os.environ["PATH"], **environment})


def task_of(*args: str, env: tuple[str, ...] = (), **more: Any) -> Task:
    container = ContainerSpec(args=args or ("true",), env=env, dir=more.pop("dir", ""), labels=more.pop("labels", {}))
    return make_task("t1", spec=TaskSpec(container_spec=container), **more)


def make(task: Task, around: Surroundings, port: int = 0, addresses: dict[str, str] | None = None) -> Program:
    return make_program(task, around, port, around.directory / "tasks/t1/private", addresses or {})


def test_later_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=env file\nB=env file\nPORT=1\n")
    around = surroundings(tmp_path, A="shell", B="shell", C="shell", PORT="0", SWARMTUI_SLOT="9")
    env = make(task_of(env=("B=service", "GREETING=slot {{.Task.Slot}}")), around, port=20_001).env
    assert (env["A"], env["B"], env["C"]) == ("env file", "service", "shell")
    assert (env["PORT"], env["SWARMTUI_SLOT"], env["GREETING"]) == ("20001", "1", "slot 1")
    assert make(task_of(env=("PORT=7",)), around, port=20_001).env["PORT"] == "7"


def test_swarmtuis_own(tmp_path: Path) -> None:
    around = surroundings(tmp_path, SWARMTUI_TASK="outer", SWARMTUI_OLD_ADDR="outer")
    task = task_of(ports=(PortConfig(8080),))
    env = make(task, around, addresses={"web": "127.0.0.1:8080", "my-api": "127.0.0.1:9090"}).env
    own = {key: value for key, value in env.items() if key.startswith("SWARMTUI_")}
    assert own == {
        "SWARMTUI_NODE": "n1",
        "SWARMTUI_SERVICE": "web",
        "SWARMTUI_SLOT": "1",
        "SWARMTUI_TASK": "c1/node1/t1",
        "SWARMTUI_TASK_DIR": str(around.directory / "tasks/t1/private"),
        "SWARMTUI_CLUSTER": str(around.directory / "tasks/t1/private/cluster"),
        "SWARMTUI_NODE_STATE": str(around.directory / "agent.json"),
        "SWARMTUI_WEB_ADDR": "127.0.0.1:8080",
        "SWARMTUI_MY_API_ADDR": "127.0.0.1:9090",
    }
    assert env["PYTHONUNBUFFERED"] == "1"
    assert "PORT" not in env


def test_nothing_overrides_the_mark_by_which_processes_are_found(tmp_path: Path) -> None:
    program = make(task_of(env=("SWARMTUI_TASK=hidden",)), surroundings(tmp_path))
    assert program.env["SWARMTUI_TASK"] == "c1/node1/t1"


def test_the_interpreters_directory_comes_last_in_path(tmp_path: Path) -> None:
    own = os.path.dirname(sys.executable)
    assert make(task_of(), surroundings(tmp_path, PATH="/usr/bin:/bin")).env["PATH"] == f"/usr/bin:/bin:{own}"
    assert make(task_of(env=("PATH=/bin",)), surroundings(tmp_path)).env["PATH"] == f"/bin:{own}"


def test_templates_are_filled_in_as_docker_does(tmp_path: Path) -> None:
    text = (
        "{{.Service.ID}} {{.Service.Name}} {{.Node.ID}} {{ .Node.Hostname }} {{.Task.ID}} {{.Task.Name}} {{.Task.Slot}} "
        '{{.Task.Port}} {{index .Service.Labels "tier"}}'
    )
    argv = make(task_of("echo", text, labels={"tier": "front"}), surroundings(tmp_path), port=20_001).argv
    assert argv[1] == "s1 web node1 n1 t1 web.1.t1 1 20001 front"
    assert make(task_of("echo", "{{.Task.Slot}}", slot=0), surroundings(tmp_path)).argv[1] == "node1"


@pytest.mark.parametrize("text", ["{{.Task.Slto}}", "{{.Secret}}", "{{"])
def test_an_unknown_template_is_refused(tmp_path: Path, text: str) -> None:
    for task in (task_of("echo", text), task_of(env=(f"A={text}",)), task_of(dir=text)):
        with pytest.raises(TaskRejected, match=r"template .* is not known"):
            make(task, surroundings(tmp_path))


def test_programs_are_found_in_the_tasks_own_path_and_directory(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (tmp_path / "sub").mkdir()
    assert make(task_of("tool", env=(f"PATH={tmp_path}/bin",)), around).argv[0] == str(tool)
    assert make(task_of("./bin/tool"), around).argv[0] == f"{tmp_path}/./bin/tool"
    program = make(task_of("../bin/tool", dir="sub"), around)
    assert (program.cwd, program.argv[0]) == (f"{tmp_path}/sub", f"{tmp_path}/sub/../bin/tool")
    assert make(task_of(), around).cwd == str(tmp_path)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (task_of("no-such-program"), 'exec: "no-such-program": executable file not found in $PATH'),
        (task_of("./nothing"), 'exec: "./nothing": no such file'),
        (task_of("./.swarmtui"), "permission denied"),
        (task_of("true", dir="nowhere"), r"working directory .*/nowhere does not exist"),
        (task_of(""), "the command is empty"),
        (make_task("t1"), "names no command"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, task: Task, reason: str) -> None:
    with pytest.raises(TaskRejected, match=reason.replace("$", r"\$")):
        make(task, surroundings(tmp_path))


def test_a_bad_env_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nwhat is this\n")
    with pytest.raises(TaskRejected, match=r"\.env: line 2"):
        make(task_of(), surroundings(tmp_path))


def test_programs_of_swarmtui_run_under_its_own_interpreter(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    program = make(task_of("python", "-m", "swarmtui.demo.web"), around)
    assert program.argv == (sys.executable, "-P", "-m", "swarmtui.demo.web")
    assert str(Path(__file__).parents[2]) in program.env["PYTHONPATH"]
    other = make(task_of("python3", "-m", "swarmtuition"), around)
    assert other.argv[1:] == ("-m", "swarmtuition")
    assert "PYTHONPATH" not in other.env


def test_only_tasks_that_speak_of_a_port_get_one() -> None:
    assert not names_port(task_of())
    assert names_port(task_of(ports=(PortConfig(8080),)))
    assert names_port(task_of("serve", "{{.Task.Port}}"))
    assert names_port(task_of(env=("ADDRESS=:{{.Task.Port}}",)))


def test_the_slots_last_port_is_taken_again_if_it_is_free() -> None:
    with socket.socket() as other:
        busy = free_ports(2)
        other.bind(("127.0.0.1", busy))
        other.listen()
        assert not is_free(busy)
        ports = Ports(busy, busy + 1)
        assert ports.take("t1", busy) == busy + 1
        with pytest.raises(TaskRejected, match="no free port in"):
            ports.take("t2", busy + 1)  # taken by a task of this node, if not yet bound
        ports.release(busy + 1)
        assert ports.take("t2", 0) == busy + 1
    first = Ports(20_000, 29_999).take("t1", 0)
    assert Ports(20_000, 29_999).take("t2", first) == first
