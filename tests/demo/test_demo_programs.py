"""The programs of the default cluster, as tasks run them: with an environment and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from swarmtui.client.errors import NoQuorum
from swarmtui.demo import default_cluster_file, flaky, ticker
from swarmtui.objects.cluster_file import parse_cluster_file
from swarmtui.objects.records import KeyValue
from swarmtui.objects.specs import GlobalMode, ReplicatedMode
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LINES_MAX = 40


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    port = free_port()
    state = tmp_path / "agent.json"
    state.write_text(json.dumps({"term": 7, "index": 412}))
    own = {"SWARMTUI_SERVICE": "web", "SWARMTUI_SLOT": "2", "SWARMTUI_NODE": "n3", "SWARMTUI_NODE_STATE": str(state)}
    process = start("web", PORT=str(port), **own)
    assert process.stdout is not None
    assert process.stdout.readline() == f"web.2 on n3: listening on port {port}\n"
    yield process, port, state
    end(process)


def start(name: str, **environment: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-P", "-m", f"swarmtui.demo.{name}"]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def get(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/any/path", timeout=5) as response:
        return str(response.read().decode())


def test_web_says_who_answers_and_in_which_term(web: tuple[subprocess.Popen[str], int, Path]) -> None:
    _, port, state = web
    assert get(port) == "web.2 on n3, term 7\n"
    state.write_text(json.dumps({"term": 8, "index": 500}))
    assert get(port) == "web.2 on n3, term 8\n"


def test_web_is_not_held_up_by_connections_that_never_ask(web: tuple[subprocess.Popen[str], int, Path]) -> None:
    _, port, _ = web
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    assert get(port) == "web.2 on n3, term 7\n"
    for connection in idle:
        connection.close()
    assert get(port) == "web.2 on n3, term 7\n"


def test_web_serves_who_is_waiting_when_it_is_stopped(web: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, port, _ = web
    process.send_signal(signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        waiting.settimeout(5)
        assert waiting.recv(1000).startswith(b"HTTP/1.1 200 OK")
    assert process.wait(5) == 0


def test_web_outlives_a_client_that_hangs_up(web: tuple[subprocess.Popen[str], int, Path]) -> None:
    _, port, _ = web
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no farewell
            rude.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert get(port) == "web.2 on n3, term 7\n"


def test_web_costs_little(web: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, _, _ = web
    assert psutil.Process(process.pid).memory_info().rss < 20 * 1024 * 1024


def test_agent_says_how_busy_the_machine_is() -> None:
    process = start("agent", SWARMTUI_NODE="n4")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("n4: load ")
    end(process)


def test_flaky_fails_and_says_why() -> None:
    """Without its patience: the module's own main, its sleep made short."""
    code = "import time; time.sleep = lambda _: None; from swarmtui.demo import flaky; flaky.main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() in flaky.REASONS
    assert done.stdout == "here: working, for now\n"


class FakeKeys:
    """A kv that answers after some time, refuses for a while, or says nothing."""

    def __init__(self) -> None:
        self.value = b"41"
        self.refused = 0
        self.delay_s = 0.002

    async def get(self, key: str) -> KeyValue:
        return KeyValue(key, 0, 0.0, 0.0, self.value)

    async def put(self, key: str, value: str) -> int:
        await trio.sleep(self.delay_s)
        if self.refused:
            self.refused -= 1
            raise NoQuorum(2, 3, 5)
        self.value = value.encode()
        return 1


class FakeCluster:
    def __init__(self) -> None:
        self.kv = FakeKeys()

    async def __aenter__(self) -> FakeCluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


async def test_ticker_counts_on_and_says_what_a_gap_cost(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = FakeCluster()
    monkeypatch.setattr("swarmtui.connect", lambda: cluster, raising=False)

    async def break_it() -> None:
        await trio.sleep(0.9)
        cluster.kv.refused = 3
        await trio.sleep(1.0)
        cluster.kv.delay_s = 1e9
        await trio.sleep(1.0)
        cluster.kv.delay_s = 0.002

    with trio.move_on_after(4.1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_it)
            nursery.start_soon(ticker.main)
    assert capsys.readouterr().out.splitlines() == [
        "tick 42 written in 2.0 ms",
        "tick 43 written in 2.0 ms",
        "tick 44 written in 68.0 ms: writes had stopped, attempt 4 went through",
        "tick 45 written in 2.0 ms",
        "tick 46 written in 1022.0 ms: writes had stopped, attempt 2 went through",
        "tick 47 written in 2.0 ms",
        "tick 48 written in 2.0 ms",
        "tick 49 written in 2.0 ms",
    ]


@pytest.mark.parametrize("name", ["web", "flaky", "agent", "ticker"])
def test_programs_are_short(name: str) -> None:
    assert len((ROOT / "swarmtui/demo" / f"{name}.py").read_text().splitlines()) < LINES_MAX


@pytest.mark.parametrize("name", ["web", "flaky", "agent"])
def test_programs_start_quickly(name: str) -> None:
    heavy = (
        "import sys, swarmtui.demo."
        + name
        + "; print([m for m in ('trio', 'asyncio', 'http', 'attr') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", heavy],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "SWARMTUI_SERVICE": "", "SWARMTUI_SLOT": "", "SWARMTUI_NODE": ""},
    )
    assert done.stdout == "[]\n", done.stderr


def test_the_default_cluster_is_what_the_design_says() -> None:
    file = parse_cluster_file(default_cluster_file().read_text(), environment={}, name="x")
    assert file.name == "demo"
    assert [node.name for node in file.nodes] == [f"n{number}" for number in range(1, 8)]
    assert [node.name for node in file.managers] == [f"n{number}" for number in range(1, 6)]
    assert {node.labels["zone"] for node in file.nodes} == {"a", "b", "c"}
    modes = {name: service.mode for name, service in file.services.items()}
    replicated = ReplicatedMode(1)
    assert modes == {"web": ReplicatedMode(5), "ticker": replicated, "flaky": replicated, "agent": GlobalMode()}
    assert [port.published_port for port in file.services["web"].endpoint_spec.ports] == [8080]
