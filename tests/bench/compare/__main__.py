"""`python -m tests.bench.compare`: see the package. About four minutes, or with --quick one; with `--cell 1 --cell 100x100`
only what is named, writes in flight by connections."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import psutil

from tests.bench.compare.contender import Contender, Missing
from tests.bench.compare.etcd import Etcd
from tests.bench.compare.loader import Order
from tests.bench.compare.ours import Ours
from tests.bench.compare.pysync import PySync
from tests.bench.compare.report import Run, cells, lines

CONTENDERS = (Etcd, PySync, Ours)
ONE_CONNECTION = (1, 10, 100, 1000)
MANY_CONNECTIONS = (100, 1000)
CONNECTIONS = 100
READS = (1, 100, 1000)
TWO_CLIENTS = 1000  # in flight: so many keep one client busy with nothing but waking its tasks


def orders(options: argparse.Namespace) -> Iterator[Order]:
    def order(kind: str, in_flight: int, connections: int, to_leader: bool = True) -> Order:
        return Order(kind, in_flight, connections, to_leader, options.warm_up, options.seconds)

    if options.cell:
        yield from (order("write", in_flight, connections) for in_flight, connections in options.cell)
        return
    yield from (order("write", in_flight, 1) for in_flight in ONE_CONNECTION)
    yield from (order("write", in_flight, CONNECTIONS) for in_flight in MANY_CONNECTIONS)
    if not options.no_reads:
        yield from (order("read", in_flight, 1) for in_flight in READS)
        yield from (order("read", in_flight, 1, to_leader=False) for in_flight in READS)
        for kind, to_leader in (("write", True), ("read", True), ("read", False)):
            yield attrs.evolve(order(kind, TWO_CLIENTS, 2, to_leader), clients=2)


def cell(text: str) -> tuple[int, int]:
    """`100x20` is 100 in flight over 20 connections, `100` over one."""
    in_flight, _, connections = text.partition("x")
    return int(in_flight), int(connections or 1)


def run(contender: Contender, order: Order) -> Run:
    processes = {who: psutil.Process(pid) for who, pid in contender.pids().items()}
    began = time.perf_counter()
    before = {who: sum(process.cpu_times()[:2]) for who, process in processes.items()}
    answer = contender.load(order)
    took = time.perf_counter() - began
    cpu = {who: (sum(process.cpu_times()[:2]) - before[who]) / took for who, process in processes.items()}
    return Run(contender.name, order, answer, cpu)


def measure(contenders: list[Contender], options: argparse.Namespace) -> list[Run]:
    """Every order for every contender in turn, round by round; every second round the other way about."""
    runs: list[Run] = []
    for number in range(options.rounds):
        for order in orders(options):
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                if contender.can(order):
                    runs.append(run(contender, order))
                    print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare", description="etcd, PySyncObj and swarmtui")
    parser.add_argument("--quick", action="store_true", help="one short round: an impression, no figure to quote")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured, of each run")
    parser.add_argument("--warm-up", type=float, default=0.4, help="seconds before them that count for nothing")
    parser.add_argument("--only", choices=[one.name for one in CONTENDERS], action="append")
    parser.add_argument("--no-reads", action="store_true")
    parser.add_argument("--cell", type=cell, action="append", help="only writes, IN_FLIGHT or IN_FLIGHTxCONNECTIONS")
    parser.add_argument("--directory", type=Path, help="on the disk to measure (default: the temporary directory)")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1.0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compare-", dir=options.directory)))
        now = f"{datetime.datetime.now():%Y-%m-%d %H:%M}"
        load = "/".join(f"{load:.1f}" for load in os.getloadavg())
        print(f"{now}, {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, load before {load}")
        print(f"three members each, {options.rounds} rounds of {options.seconds:g} s, medians; values of 256 bytes")
        contenders: list[Contender] = []
        for make in CONTENDERS:
            contender: Contender = make()
            if options.only and contender.name not in options.only:
                continue
            stack.callback(contender.end)
            (directory / contender.name).mkdir()
            try:
                contender.start(directory / contender.name)
            except Missing as error:
                print(error, file=sys.stderr)
                return 1
            contenders.append(contender)
            print(f"- {contender.describe()}", flush=True)
        print("\n".join(lines(cells(measure(contenders, options)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
