"""Real clusters: real processes, real TCP and TLS, real disks, driven by the command line as a person would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import attrs
import psutil
import pytest
import trio

import swarmtui
from swarmtui.objects.records import Node, Task
from swarmtui.objects.states import TaskState

T = TypeVar("T")
RESTLESS = Path(__file__).with_name("restless")
PATIENCE_S = 30.0  # for anything that must come about; a slow machine gets its time, a wrong one does not pass
LOOK_S = 0.02
GONE_S = 5.0  # for the last process to end once `down` has answered

BARE = """
[cluster]
name = "{name}"
managers = {managers}
workers = {workers}
"""


def wait_for(what: str, look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """The first true thing that `look` returns; fails naming what did not come about, and what was seen last."""
    deadline = time.monotonic() + patience_s
    seen: Any = None
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(LOOK_S)
    pytest.fail(f"{what} did not come about in {patience_s:g} s; last seen: {seen!r}")


class Run(subprocess.CompletedProcess[str]):
    """How a command ended; `json` is its output, one object a line."""

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


class RunningTask(NamedTuple):
    id: str
    node: str
    pid: int
    port: int


class RealCluster:
    """One cluster in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(directory / "state"),
            "SWARMTUI_CLUSTER": "",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "NO_COLOR": "1",
        }
        self.environment.pop("SWARMTUI_CLUSTER")

    def make_restless(self) -> None:
        """The threads of whatever is started from now on take turns every few steps."""
        self.environment["PYTHONPATH"] = os.pathsep.join((str(RESTLESS), self.environment["PYTHONPATH"]))

    # ------------------------------------------------------------------------------------------- the command line

    def run(self, *words: str, timeout_s: float = 90.0, expect: int | None = 0) -> Run:
        """`swarmtui WORDS` in the cluster's directory."""
        done = subprocess.run(
            [sys.executable, "-m", "swarmtui", *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        result = Run(done.args, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        if expect is not None:
            assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return result

    def up(self, file: str | None = None, *words: str, managers: int = 3, workers: int = 0) -> Run:
        text = file if file is not None else BARE.format(name="test", managers=managers, workers=workers)
        (self.directory / "cluster.toml").write_text(text)
        return self.run("up", "-d", *words)

    def ask(self, question: Callable[[swarmtui.Cluster], Awaitable[T]]) -> T:
        """Ask something of the cluster through a client of our own: what polls must be cheap."""

        async def ask() -> T:
            async with swarmtui.connect(self.directory) as cluster:
                return await question(cluster)

        return trio.run(ask)

    def status(self) -> dict[str, Any]:
        return attrs.asdict(self.ask(lambda cluster: cluster.status()))

    def node(self, name: str) -> dict[str, Any]:
        return next(node for node in self.status()["nodes"] if node["name"] == name)

    def leader(self) -> str:
        return wait_for("a leader", lambda: self.status()["leader"])

    def followers(self) -> list[str]:
        return [node["name"] for node in self.status()["nodes"] if node["state"] == "follower"]

    def raft_states(self) -> list[dict[str, Any]]:
        return self.run("raft", "state", "--format", "json").json

    def tasks(self, service: str) -> list[dict[str, Any]]:
        return self.run("service", "ps", service, "--format", "json", "--no-trunc").json

    def running(self, service: str) -> dict[str, RunningTask]:
        """The running tasks of a service by name."""

        async def look(cluster: swarmtui.Cluster) -> dict[str, RunningTask]:
            records = await cluster.records("task", "node")
            names = {record.id: record.name for record in records.records if isinstance(record, Node)}
            tasks = [record for record in records.records if isinstance(record, Task)]
            return {
                task.name: RunningTask(task.id, names[task.node_id], task.status.pid, task.status.port)
                for task in tasks
                if task.service_name == service
                and task.status.state is TaskState.RUNNING
                and task.desired_state is TaskState.RUNNING
            }

        return self.ask(look)

    def wait_running(self, service: str, count: int, on: set[str] | None = None) -> dict[str, RunningTask]:
        def look() -> dict[str, RunningTask]:
            running = self.running(service)
            right = len(running) == count and (on is None or {task.node for task in running.values()} <= on)
            return running if right else {}

        return wait_for(f"{count} running tasks of {service}" + (f" on {sorted(on)}" if on else ""), look)

    def write_many(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Put all these keys, through one client."""

        async def write() -> None:
            async with swarmtui.connect(self.directory) as cluster:
                for key, value in pairs:
                    await cluster.kv.put(key, value)

        trio.run(write)

    # -------------------------------------------------------------------------------------------------- processes

    @property
    def data(self) -> Path:
        return self.directory / ".swarmtui"

    def last_words(self) -> dict[str, str]:
        """Of each node that ended by itself, now or before: why."""
        logs = {log.parent.name: log.read_text() for log in self.data.glob("nodes/*/node.log")}
        return {name: text for name, text in logs.items() if text}

    def host_pid(self) -> int:
        return int(json.loads((self.data / "host.json").read_text())["pid"])

    def everything(self) -> list[psutil.Process]:
        """All processes of this cluster: the host, its descendants, and whatever carries the mark of its tasks."""
        found: dict[int, psutil.Process] = {}
        if (self.data / "cluster.json").exists():
            cluster_id = json.loads((self.data / "cluster.json").read_text())["id"]
            for process in psutil.process_iter():
                try:
                    if process.environ().get("SWARMTUI_TASK", "").startswith(cluster_id) or any(
                        str(self.data) in word for word in process.cmdline()
                    ):
                        found[process.pid] = process
                except psutil.Error:
                    continue
        for process in list(found.values()):
            try:
                found.update({child.pid: child for child in process.children(recursive=True)})
            except psutil.Error:
                continue
        return [
            process for process in found.values() if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ]

    def kill_everything(self) -> None:
        """The power cut of the whole machine: SIGKILL, all at once."""
        for process in self.everything():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue


FILE = """
[cluster]
name = "{name}"
managers = {managers}
workers = {workers}

[services.web]
command = ["python", "-c", "import time; print('up', flush=True); time.sleep(3600)"]
[services.web.deploy]
replicas = {web}
restart_policy = {{ condition = "any", delay = "0s" }}
"""


def ended(real: RealCluster) -> None:
    """Ends whatever runs in this directory; nothing may be left."""
    for process in real.everything():
        try:
            process.send_signal(signal.SIGCONT)
        except psutil.Error:
            continue
    if real.data.exists():
        real.run("down", expect=None)
    deadline = time.monotonic() + GONE_S
    while (left := real.everything()) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    real.kill_everything()
    assert not left, f"still running after down: {left}"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RealCluster]:
    """A directory for one cluster of one test."""
    real = RealCluster(tmp_path)
    yield real
    ended(real)


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Five managers, two workers and a service of seven, shared by the tests of one file: each heals what it broke."""
    real = RealCluster(tmp_path_factory.mktemp("five"))
    real.up(FILE.format(name="five", managers=5, workers=2, web=7))
    yield real
    ended(real)


@pytest.fixture
def healed(five: RealCluster) -> Iterator[RealCluster]:
    """The shared cluster, whole before and after."""
    yield five
    five.run("heal")
    wait_for("a whole cluster", lambda: is_whole(five))


def is_whole(real: RealCluster) -> bool:
    status = real.status()
    alive = all(
        node["status"] == "ready" and node["state"] in ("leader", "follower", "worker") for node in status["nodes"]
    )
    return bool(status["leader"]) and status["quorum"]["held"] and alive and not status["faults"]
