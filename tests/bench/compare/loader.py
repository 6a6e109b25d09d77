"""Orders to the process that makes the load, and its answers: one JSON object a line, for Go and Python alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

VALUE_BYTES = 256
KEYS_PER_TASK = 10
ROOT = Path(__file__).parents[3]


@attrs.frozen
class Order:
    """`in_flight` tasks in a closed loop over `connections`, for `seconds` after `warm_up_s` that count for nothing. `clients`
    processes share both."""

    kind: str  # write | read
    in_flight: int
    connections: int
    to_leader: bool = True
    warm_up_s: float = 0.4
    seconds: float = 2.0
    value_bytes: int = VALUE_BYTES
    clients: int = 1

    @property
    def of_each(self) -> Order:
        """What each of the clients does."""
        share = {"in_flight": self.in_flight // self.clients, "connections": self.connections // self.clients}
        return attrs.evolve(self, **share, clients=1)


@attrs.frozen
class Answer:
    operations: int
    failures: int
    p50_ms: float
    p99_ms: float


def answer_of(latencies_s: list[float], failures: int) -> Answer:
    """From the latencies of all operations that began and ended in the measured time."""
    latencies_s.sort()
    if not latencies_s:
        return Answer(0, failures, 0.0, 0.0)
    p50, p99 = (latencies_s[int(len(latencies_s) * share)] * 1000 for share in (0.5, 0.99))
    return Answer(len(latencies_s), failures, p50, p99)


def together(answers: Sequence[Answer]) -> Answer:
    """Of several clients: latencies are those of the slowest."""
    return Answer(
        sum(answer.operations for answer in answers),
        sum(answer.failures for answer in answers),
        max(answer.p50_ms for answer in answers),
        max(answer.p99_ms for answer in answers),
    )


def client_name(number: int) -> str:
    """What a process that makes the load is called in the tables, from 0 on."""
    return f"client {number + 1}" if number else "client"


class Loader:
    """The process that makes the load. Raises RuntimeError when it ends unasked."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        self.pid = self._process.pid
        self._read()  # it says when it is ready

    def take(self, order: Order) -> Answer:
        self.begin(order)
        return self.answer()

    def begin(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(attrs.asdict(order)) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Answer:
        """Of what was begun."""
        return Answer(**self._read())

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[0]} ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve_orders(run: Callable[[Order], Answer]) -> None:
    """The other end, in Python: until standard input ends."""
    say({"ready": True})
    for line in sys.stdin:
        say(attrs.asdict(run(Order(**json.loads(line)))))


def say(what: Mapping[str, object]) -> None:
    print(json.dumps(what), flush=True)
