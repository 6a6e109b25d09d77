"""The environment that a task is given, and the argument vector that it becomes.

Later wins: the shell that ran `up`; `.env` beside the cluster file; swarmtui's own; the service's. Two things
nothing overrides: the mark by which a task's processes are found, and that swarmtui's interpreter comes last in PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs

from swarmtui.agent.executor import TaskRejected
from swarmtui.agent.sweep import MARK, mark_for
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.notations import parse_env_file
from swarmtui.objects.records import Task
from swarmtui.objects.templates import check_template, fill_template
from swarmtui.whereabouts import PACKAGE_PARENT

ENV_FILE_NAME = ".env"
DOORWAY_NAME = "cluster"  # in a task's private directory: how it reaches `kv` (`doorway`)
ENV_FILE_BYTES_MAX = 1024 * 1024
_PYTHON = re.compile(r"python(3(\.\d+)?)?")


@attrs.frozen
class Surroundings:
    """Where a node's tasks run: which cluster and node, which directories, and the environment of the node itself, which
    is that of the shell that ran `up`."""

    manifest: Manifest
    node: NodeEntry
    directory: Path  # the node's: .swarmtui/nodes/NAME
    environment: Mapping[str, str]

    @property
    def state_directory(self) -> Path:
        return self.directory.parent.parent

    @property
    def base(self) -> Path:
        """Where tasks start: the directory of the cluster file."""
        return Path(os.path.normpath(self.state_directory / self.manifest.base_directory))

    @property
    def env_file(self) -> Path:
        beside = Path(self.manifest.cluster_file).parent if self.manifest.cluster_file else Path()
        return self.state_directory.parent / beside / ENV_FILE_NAME

    @property
    def node_state(self) -> Path:
        """A small JSON object, always there: `term` and `index` of the last order that this node obeyed."""
        return self.directory / "agent.json"


@attrs.frozen
class Program:
    """What is executed: `argv[0]` is the path of the program."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str


def names_port(task: Task) -> bool:
    """True if the task is to have a listening port of its own: it publishes one, or its spec speaks of one."""
    container = task.spec.container_spec
    return bool(task.ports) or any("Task.Port" in text for text in (*container.args, *container.env, container.dir))


def make_program(task: Task, around: Surroundings, port: int, private: Path, addresses: Mapping[str, str]) -> Program:
    """Fills in templates, lays the environments over one another and finds the program. Raises TaskRejected."""
    container = task.spec.container_spec
    if not container.args:
        raise TaskRejected("the service names no command")

    def fill(text: str) -> str:
        return _fill(text, task, around.node, port)

    env = {**_inherited(around.environment), **_env_file(around.env_file)}
    env.update(_own(task, around, port, private, addresses))
    for entry in container.env:
        key, _, value = entry.partition("=")
        env[key] = fill(value)
    env[MARK] = mark_for(around.manifest.id, around.node.id, task.id)
    env["PATH"] = _path(env.get("PATH", os.defpath))
    cwd = os.path.join(around.base, os.path.expanduser(fill(container.dir))) if container.dir else str(around.base)
    if not os.path.isdir(cwd):
        raise TaskRejected(f"working directory {cwd} does not exist")
    argv = [fill(argument) for argument in container.args]
    if _is_own_program(argv):
        argv[0:1] = [sys.executable, "-P"]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(PACKAGE_PARENT)]))
    else:
        argv[0] = _find(argv[0], cwd, env["PATH"])
    return Program(tuple(argv), env, cwd)


def _fill(text: str, task: Task, node: NodeEntry, port: int) -> str:
    if "{{" not in text:
        return text
    try:
        check_template(text)
    except ValueError as error:
        raise TaskRejected(str(error)) from None
    fields = {
        "Service.ID": task.service_id,
        "Service.Name": task.service_name,
        "Node.ID": node.id,
        "Node.Hostname": node.name,
        "Node.Platform.OS": sys.platform,
        "Node.Platform.Architecture": os.uname().machine,
        "Task.ID": task.id,
        "Task.Name": f"{task.name}.{task.id}",
        "Task.Slot": str(task.slot or node.id),  # the node is the slot of a global service, as in Docker
        "Task.Port": str(port),
    }
    labels = task.spec.container_spec.labels
    return fill_template(text, lambda name: fields.get(name, ""), lambda name: labels.get(name, ""))


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The shell's, without what an outer swarmtui task would have told it of *its* services."""
    return {
        key: value
        for key, value in environment.items()
        if not (key.startswith("SWARMTUI_") and (key.endswith("_ADDR") or key == MARK))
    }


def _env_file(path: Path) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as file:
            return parse_env_file(file.read(ENV_FILE_BYTES_MAX))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise TaskRejected(f"{path}: {error}") from None


def _own(task: Task, around: Surroundings, port: int, private: Path, addresses: Mapping[str, str]) -> dict[str, str]:
    own = {
        "SWARMTUI_NODE": around.node.name,
        "SWARMTUI_SERVICE": task.service_name,
        "SWARMTUI_SLOT": str(task.slot),
        "SWARMTUI_TASK_DIR": str(private),
        "SWARMTUI_CLUSTER": str(private / DOORWAY_NAME),
        "SWARMTUI_NODE_STATE": str(around.node_state),
        "PYTHONUNBUFFERED": "1",
    }
    for published in task.ports:
        own[_address_variable(task.service_name)] = f"127.0.0.1:{published.published_port}"
    for service, address in addresses.items():
        own[_address_variable(service)] = address
    if port:
        own["PORT"] = str(port)
    return own


def _address_variable(service: str) -> str:
    return f"SWARMTUI_{re.sub('[^A-Z0-9]', '_', service.upper())}_ADDR"


def _path(path: str) -> str:
    own = os.path.dirname(sys.executable)
    entries = [entry for entry in path.split(os.pathsep) if entry]
    return os.pathsep.join(entries if own in entries else [*entries, own])


def _is_own_program(argv: list[str]) -> bool:
    """`python -m swarmtui.…`: a program of swarmtui itself. It runs under the node's interpreter, whatever `python` PATH
    finds first: the project's own environment need not have swarmtui installed, nor be without a module of its name."""
    is_python = bool(_PYTHON.fullmatch(argv[0])) and argv[1:2] == ["-m"]
    return is_python and len(argv) > 2 and (argv[2] == "swarmtui" or argv[2].startswith("swarmtui."))


def _find(name: str, cwd: str, path: str) -> str:
    if not name:
        raise TaskRejected("the command is empty")
    if "/" in name:
        found = os.path.join(cwd, os.path.expanduser(name))
        if not os.path.exists(found):
            raise TaskRejected(f'exec: "{name}": no such file (looked in {cwd})')
        if not os.access(found, os.X_OK) or os.path.isdir(found):
            raise TaskRejected(f'exec: "{name}": permission denied: it is no executable file')
        return found
    located = shutil.which(name, path=path)
    if located is None:
        raise TaskRejected(f'exec: "{name}": executable file not found in $PATH')
    return os.path.join(cwd, located)
