"""This project: three managers as processes with its defaults: TLS, fdatasync before every acknowledgement, all checks on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import trio

import swarmtui
from tests.bench.compare.loader import ROOT, Answer, Loader, Order, client_name, together

FILE = '[cluster]\nname = "compare"\nmanagers = 3\nworkers = 0\n'


CLIENTS_MAX = 2


class Ours:
    name = "swarmtui"

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._loaders: list[Loader] = []
        self._pids: dict[str, int] = {}

    def describe(self) -> str:
        return (
            f"swarmtui {swarmtui.__version__} on Python {platform.python_version()}, defaults: fdatasync on a quorum "
            "before every acknowledgement; TLS; all checks on; load by swarmtui.client in one process, or two where it says so"
        )

    def start(self, directory: Path) -> None:
        self._directory = directory
        (directory / "cluster.toml").write_text(FILE)
        self._command("up", "-d")
        load = [sys.executable, "-m", "tests.bench.compare.ours_load", str(directory)]
        self._loaders = [Loader(load) for _ in range(CLIENTS_MAX)]
        self._pids = trio.run(self._look)

    async def _look(self) -> dict[str, int]:
        assert self._directory is not None
        async with swarmtui.connect(self._directory) as cluster:
            status = await cluster.status()
        followers = [node.pid for node in status.nodes if node.name != status.leader and node.pid]
        leader = [node.pid for node in status.nodes if node.name == status.leader and node.pid]
        named = {f"follower {number}": pid for number, pid in enumerate(followers, 1)}
        clients = {client_name(number): loader.pid for number, loader in enumerate(self._loaders)}
        return {"leader": leader[0], **named, **clients}

    def _command(self, *words: str) -> None:
        command = (sys.executable, "-m", "swarmtui", *words)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=self._directory, env=environment, check=True, capture_output=True)

    def pids(self) -> Mapping[str, int]:
        return self._pids

    def can(self, order: Order) -> bool:
        return order.clients <= CLIENTS_MAX

    def load(self, order: Order) -> Answer:
        loaders = self._loaders[: order.clients]
        for loader in loaders:
            loader.begin(order.of_each)
        return together([loader.answer() for loader in loaders])

    def end(self) -> None:
        while self._loaders:
            self._loaders.pop().end()
        if self._directory is not None:
            self._command("down", "--volumes")
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
