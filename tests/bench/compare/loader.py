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
    """`in_flight` tasks in a closed loop over `connections`, for `seconds` after `warm_up_s` that count for nothing."""

    kind: str  # write | read
    in_flight: int
    connections: int
    to_leader: bool = True
    warm_up_s: float = 0.4
    seconds: float = 2.0
    value_bytes: int = VALUE_BYTES


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
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(attrs.asdict(order)) + "\n")
        self._process.stdin.flush()
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
