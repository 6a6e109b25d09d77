"""Helpers of the agent's tests: waiting for a condition, finding processes by a token, a node to be killed."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import trio

ROOT = Path(__file__).parents[2]
WAIT_LIMIT_S = 15.0


def wait_until(condition: Callable[[], object], what: str, limit_s: float = WAIT_LIMIT_S) -> None:
    """Polls, because processes of others tell nobody; fails after the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"after {limit_s} s still not: {what}"
        time.sleep(0.01)


async def until(condition: Callable[[], object], what: str, limit_s: float = WAIT_LIMIT_S) -> None:
    with trio.move_on_after(limit_s):
        while not condition():  # other processes set no events
            await trio.sleep(0.005)
        return
    raise AssertionError(f"after {limit_s} s still not: {what}")


class Herd:
    """The processes that carry this token among their arguments, wherever they went."""

    def __init__(self) -> None:
        self.token = "herd" + secrets.token_hex(6)

    def sleeper(self) -> str:
        """A shell word that sleeps for long and can be found."""
        return f"{sys.executable} -S -E -c 'import time; time.sleep(600)' {self.token}"

    def pids(self) -> list[int]:
        found = []
        for process in psutil.process_iter():
            try:
                if self.token in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found

    def kill(self) -> None:
        for pid in self.pids():
            try:
                psutil.Process(pid).kill()
            except psutil.NoSuchProcess:
                continue


NODE = """
import sys, os, json, tempfile, trio
sys.path.insert(0, sys.argv[1])
from swarmtui.agent.launcher import start_launcher
link = start_launcher("victim")
async def main():
    async def lost():
        print("LOST", flush=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run, lost)
        for number, program in enumerate(sys.argv[3:]):
            env = {"PATH": os.environ["PATH"], "SWARMTUI_TASK": f"{sys.argv[2]}/node/task{number}"}
            await link.spawn(f"task{number}", ["/bin/sh", "-c", program], env, "/", tempfile.mkdtemp())
        print(json.dumps({"node": os.getpid(), "launcher": link.pid}), flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


class VictimNode:
    """A process that holds a launcher as a node does, to be killed."""

    def __init__(self, cluster_id: str, programs: tuple[str, ...]) -> None:
        command = [sys.executable, "-c", NODE, str(ROOT), cluster_id, *programs]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.pid, self.launcher = int(said["node"]), int(said["launcher"])
        self._launcher = psutil.Process(self.launcher)

    def end(self) -> None:
        """A launcher that does not end by itself is an error; it is not left behind for that."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        try:
            wait_until(lambda: is_gone(self.launcher), "the launcher to end")
        finally:
            with suppress(psutil.NoSuchProcess):
                self._launcher.kill()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
