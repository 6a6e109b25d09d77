"""How connections go out.

A dial ends in a connection, in `Refused` (nobody listens there: the operating system said so), or in `DialFailed` (all
else: silence, a stranger, a farewell). The difference matters: a refused dial is evidence of death, everything else is not
(`HungUp` is a reason to dial again soon).
"""

from __future__ import annotations

import errno
from collections.abc import Callable

import trio

from swarmtui.wire.admission import Refusal
from swarmtui.wire.certificates import Credentials
from swarmtui.wire.connection import Connection, ConnectionEnded
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.tls import HUNG_UP, HandshakeFailed, shake_hands

DIAL_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 1.0


class DialFailed(Exception):
    """No connection, and no telling what became of the other side."""


class Refused(DialFailed):
    """Nobody listens there (ECONNREFUSED), and nothing else."""


class HungUp(DialFailed):
    """The connection ended before a word was said: so does a process that is dying (its listener may be the last thing
    that the system closes), and one that wants no stranger. No evidence by itself; the next dial may bring it."""


async def dial(
    address: str,
    credentials: Credentials,
    expected_node_id: str,
    *,
    faults: LinkFaults | None = None,
    on_refused: Callable[[Refusal], None] | None = None,
    timeout_s: float = DIAL_TIMEOUT_S,
) -> Connection:
    """A connection to exactly this node, greeted and ready for `async with`. Raises Refused, DialFailed."""
    transport: trio.SocketStream | None = None
    connection: Connection | None = None
    try:
        with trio.move_on_after(timeout_s):
            if faults is not None:
                await faults.wait_reaches(expected_node_id)
            transport = await _connect(address)
            stream, identity = await shake_hands(transport, credentials.client, dialled=expected_node_id)
            if identity.cluster != credentials.identity.cluster:
                raise DialFailed(f"{address} is of cluster {identity.cluster}, not {credentials.identity.cluster}")
            greeting = Connection(
                stream, credentials.identity, identity, address=address, faults=faults, on_refused=on_refused
            )
            await greeting.greet()
            connection = greeting
    except HandshakeFailed as error:
        kind = HungUp if error.rule == HUNG_UP else DialFailed
        raise kind(f"{address}: {error.reason}") from None
    except ConnectionEnded as error:
        raise DialFailed(f"{address}: {error}") from None
    finally:
        if connection is None and transport is not None:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(transport)
    if connection is None:
        raise DialFailed(f"{address}: no answer in {timeout_s:g} s")
    return connection


async def probe(
    address: str, *, node_id: str = "", faults: LinkFaults | None = None, timeout_s: float = PROBE_TIMEOUT_S
) -> bool:
    """True if a dial is refused: nobody listens there. A dial that succeeds, hangs or fails otherwise is no evidence."""
    with trio.move_on_after(timeout_s):
        try:
            if faults is not None:
                await faults.wait_reaches(node_id)
            await trio.aclose_forcefully(await _connect(address))
        except Refused:
            return True
        except DialFailed:
            return False
    return False


async def _connect(address: str) -> trio.SocketStream:
    host, port = parse_address(address)
    try:
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        family, kind, protocol, _, target = found[0]
        socket = trio.socket.socket(family, kind, protocol)
    except OSError as error:
        raise DialFailed(f"{address}: {error.strerror or error}") from None
    try:
        await socket.connect(target)
        return trio.SocketStream(socket)
    except OSError as error:
        socket.close()
        if error.errno == errno.ECONNREFUSED:
            raise Refused(f"{address}: connection refused") from None
        raise DialFailed(f"{address}: {error.strerror or error}") from None
    except BaseException:
        socket.close()
        raise


def parse_address(address: str) -> tuple[str, int]:
    """ "127.0.0.1:7101" in its parts. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
