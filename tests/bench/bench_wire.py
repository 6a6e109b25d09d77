"""`python tests/bench/bench_wire.py`: what the wire costs between two processes over TLS on loopback.

Prints one figure a line: a dial with its handshake, a message there and back, small messages a second over one connection
(they share sends), and what the codec takes of that.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

from swarmtui.objects.operations import Put, Result, Transaction, Verdict
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.messages import Append, AppendReply, ReadReply, ReadRequest
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import create_authority, load_credentials
from swarmtui.wire.channels import Channel
from swarmtui.wire.codec import Message, decode_message, encode_message
from swarmtui.wire.connection import Connection
from swarmtui.wire.dial import dial
from swarmtui.wire.incoming import Received
from swarmtui.wire.listener import serve
from swarmtui.wire.messages import Reply, Request
from swarmtui.wire.node_calls import Fate, Outcome, Propose, Proposed

ECHOES, FLOOD = "1" * 25, "2" * 25
ROUNDS = 500
MESSAGES = 50_000
LAST = -1  # the ticket that is answered
CODEC_ROUNDS = 2_000


def say(what: str, figure: float, unit: str) -> None:
    print(f"{what:48} {figure:10.1f} {unit}", flush=True)


async def answer(connection: Connection) -> None:
    def take(messages: Received) -> None:
        for _, message in messages:
            if isinstance(message, ReadRequest) and message.ticket == LAST:
                reply = ReadReply(cluster="c", source=ECHOES, target=FLOOD, term=1, ticket=LAST, index=1)
                connection.send_soon(Channel.RAFT, reply)

    await connection.hear(take)


async def hear_once(connection: Connection) -> None:
    with trio.CancelScope() as scope:
        await connection.hear(lambda _: scope.cancel())


async def listen(directory: Path) -> None:
    credentials = load_credentials(directory / "echoes.pem", directory / "ca.pem")
    async with trio.open_nursery() as nursery:

        async def serving(task_status: trio.TaskStatus[str]) -> None:
            await serve("127.0.0.1:0", credentials, answer, task_status=task_status)

        print(await nursery.start(serving), flush=True)


def request(ticket: int) -> ReadRequest:
    return ReadRequest(cluster="c", source=FLOOD, target=ECHOES, term=1, ticket=ticket)


async def measure(directory: Path, address: str) -> None:
    credentials = load_credentials(directory / "flood.pem", directory / "ca.pem")
    for _ in range(3):
        began = time.perf_counter()
        connection = await dial(address, credentials, ECHOES)
        dialled_s = time.perf_counter() - began
        await connection.aclose()
    say("a dial with its handshake", dialled_s * 1000, "ms")
    async with await dial(address, credentials, ECHOES) as connection:
        began = time.perf_counter()
        for _ in range(ROUNDS):
            connection.send_soon(Channel.RAFT, request(LAST))
            await hear_once(connection)
        say("a message there and back", (time.perf_counter() - began) / ROUNDS * 1e6, "us")
        before = connection.statistics().sends
        began = time.perf_counter()
        for ticket in range(MESSAGES):
            await connection.send(Channel.RAFT, request(ticket))
        await connection.send(Channel.RAFT, request(LAST))
        await hear_once(connection)
        say("small messages over one connection", MESSAGES / (time.perf_counter() - began), "a second")
        say("of which shared one send", MESSAGES / (connection.statistics().sends - before), "messages")


def codec() -> None:
    head = {"cluster": "c" * 25, "source": FLOOD, "target": ECHOES, "term": 3}
    entry = Entry(101, 3, EntryKind.TRANSACTIONS, bytes(300))
    write = Transaction((Put("key", bytes(256)),))
    done = Outcome(Fate.DONE, Result(Verdict.DONE, 77))
    messages: dict[str, Message] = {
        "heartbeat": Append(**head, session=1, previous_index=100, previous_term=3, commit=99),
        "append of one entry": Append(**head, session=1, previous_index=1, previous_term=3, commit=9, entries=(entry,)),
        "append's answer": AppendReply(**head, session=1, accepted=True, match=5, previous_index=4),
        "one write": Request(7, Propose.of(write)),
        "a hundred writes": Request(7, Propose.of(*(write,) * 100)),
        "the answer to a hundred": Reply(7, Proposed((done,) * 100)),
    }
    for what, message in messages.items():
        body = encode_message(message)
        say(f"{what} ({len(body)} bytes), written", best_us(lambda message=message: encode_message(message)), "us")
        say(f"{what}, read", best_us(lambda body=body: decode_message(body)), "us")


def best_us(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(CODEC_ROUNDS // 5):
            work()
        times.append((time.perf_counter() - began) / (CODEC_ROUNDS // 5) * 1e6)
    return min(times)


def main() -> None:
    if len(sys.argv) > 1:
        trio.run(listen, Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        authority = create_authority("c" * 25)
        (directory / "ca.pem").write_bytes(authority.certificate_pem)
        for file, node_id in (("echoes", ECHOES), ("flood", FLOOD)):
            (directory / f"{file}.pem").write_bytes(authority.issue(Peerage.MANAGER, node_id).pem)
        listener = subprocess.Popen([sys.executable, __file__, name], stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None
        try:
            trio.run(measure, directory, listener.stdout.readline().strip())
        finally:
            listener.kill()
            listener.wait()
    codec()


if __name__ == "__main__":
    main()
