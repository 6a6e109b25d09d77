"""TLS over a socket: the handshake of both directions, its failures in words that a person can act on, and the stream.

The stream is made for many small messages. `write` encrypts and hands to the socket at once, in the step of whoever
writes: no other task has to wake up for it. Only what the socket does not take waits for `drain`. `receive_some` gives
everything that has arrived, over however many TLS records it was spread.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import trio

from swarmtui.wire.arrivals import arrivals
from swarmtui.wire.certificates import Identity, NotCertified, identity_of

HANDSHAKE_TIMEOUT_S = 5.0
ENCRYPTED_BYTES_MAX = 64 * 1024  # taken from the socket at a time


class HandshakeFailed(Exception):
    """No TLS connection came about. `rule` is a short fixed name for what was wrong with the other side."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


class Stream(Protocol):
    """What carries a connection's frames: a `TlsStream`, or one of memory in tests."""

    def write(self, data: bytes) -> bool: ...
    async def drain(self) -> None: ...
    async def receive_some(self) -> bytes | bytearray: ...
    async def hear(self, take: Callable[[bytes], bool]) -> None: ...
    async def aclose(self) -> None: ...


class TlsStream:
    """One side of a connection. One task receives and one drains; anybody may write between two drains."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool, hostname: str | None
    ) -> None:
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, hostname)
        self._unsent = b""  # encrypted, and not yet taken by the socket
        self._closed = False
        self._arrivals = arrivals()

    async def shake_hands(self) -> None:
        """Raises ssl.SSLError, trio.BrokenResourceError."""
        while True:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                pass
            finally:  # also the alert that says why there will be no connection
                if not self._send():
                    await self.drain()
            await self._wait()
            if not self._take_in():
                raise trio.BrokenResourceError("EOF in the handshake")

    def peer_certificate(self) -> Mapping[str, Any] | None:
        return self._tls.getpeercert()

    # ------------------------------------------------------------------------------------------------------- sending

    def write(self, data: bytes) -> bool:
        """Send at once what the socket takes. False if some of it waits: then `drain` comes before the next `write`.
        Raises trio.BrokenResourceError, trio.ClosedResourceError."""
        self._tls.write(data)
        return self._send()

    async def drain(self) -> None:
        """Until the socket has taken everything that was written."""
        while self._unsent:
            await trio.lowlevel.wait_writable(self._socket)
            self._send()

    def _send(self) -> bool:
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")
        encrypted = self._outgoing.read()
        if self._unsent:
            encrypted = self._unsent + encrypted
        if not encrypted:
            return True
        try:
            sent = self._socket.send(encrypted)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error
        self._unsent = encrypted[sent:]
        return not self._unsent

    # ----------------------------------------------------------------------------------------------------- receiving

    async def receive_some(self) -> bytes:
        """What has arrived, at least a byte; nothing at the end. Raises trio.BrokenResourceError, ClosedResourceError."""
        while True:
            data = self._decrypted()
            if data:
                await trio.lowlevel.checkpoint_if_cancelled()
            if data is not None:
                return data
            await self._wait()
            if not self._take_in():
                return b""

    async def hear(self, take: Callable[[bytes], bool]) -> None:
        """The same for whoever is called: `take` is given what has arrived, at last nothing, until it returns False. Raises
        what it raises, too."""
        await trio.lowlevel.checkpoint_if_cancelled()
        data = self._decrypted()
        if data is None or (take(data) and data):
            await self._arrivals.hear(self._socket, partial(self._is_over, take))

    def _is_over(self, take: Callable[[bytes], bool]) -> bool:
        """The socket has something: whether nothing more shall be taken of it."""
        if not self._take_in():
            take(b"")
            return True
        data = self._decrypted()
        return data is not None and not (take(data) and data)

    def _decrypted(self) -> bytes | None:
        """Every whole record that is here; None if there is none, nothing at the end."""
        parts: list[bytes] = []
        try:
            while self._incoming.pending:
                parts.append(self._tls.read(ENCRYPTED_BYTES_MAX))
        except ssl.SSLWantReadError:
            pass  # the next record is not whole yet
        except ssl.SSLZeroReturnError:
            parts = parts or [b""]
        except ssl.SSLError as error:
            raise trio.BrokenResourceError(str(error)) from error
        return (parts[0] if len(parts) == 1 else b"".join(parts)) if parts else None

    async def _wait(self) -> None:
        """Until the socket can be read."""
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")
        await trio.lowlevel.wait_readable(self._socket)

    def _take_in(self) -> bool:
        """What the socket has, perhaps nothing after all. False at its end."""
        try:
            encrypted = self._socket.recv(ENCRYPTED_BYTES_MAX)
        except BlockingIOError:
            return True
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error
        self._incoming.write(encrypted)
        return bool(encrypted)

    # -------------------------------------------------------------------------------------------------------- ending

    async def aclose(self) -> None:
        """At once and without a farewell of TLS: a connection says its own, and its frames say where they end."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._arrivals.closing(self._socket)
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


async def shake_hands(
    transport: trio.SocketStream, context: ssl.SSLContext, *, dialled: str | None = None
) -> tuple[TlsStream, Identity]:
    """Both sides' certificates are checked; `dialled` is the node id that the other side's must be for (the dialling
    side names it). The socket is the stream's from now on. Raises HandshakeFailed; has no timeout of its own."""
    sock = socket.socket(fileno=transport.socket.detach())
    sock.setblocking(False)
    stream = TlsStream(sock, context, server_side=dialled is None, hostname=dialled)
    try:
        await stream.shake_hands()
        return stream, identity_of(stream.peer_certificate())
    except (ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        stream.close()
        raise _explain(error, dialled) from None
    except NotCertified as error:
        stream.close()
        raise HandshakeFailed("no-certificate", str(error)) from None
    except BaseException:
        stream.close()
        raise


HUNG_UP = "hung-up"
_RULES = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ("no-certificate", "no certificate was shown"),
    "HTTP_REQUEST": ("not-tls", "it spoke HTTP, not TLS"),
    "WRONG_VERSION_NUMBER": ("not-tls", "it did not speak TLS"),
    "UNSUPPORTED_PROTOCOL": ("old-tls", "it offered no TLS 1.3"),
    "NO_PROTOCOLS_AVAILABLE": ("old-tls", "it offered no TLS 1.3"),
    "TLSV1_ALERT_UNKNOWN_CA": ("wrong-cluster", "the other side does not know our authority: it is of another cluster"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("no-certificate", "the other side asks for a certificate"),
}


def _explain(error: BaseException, dialled: str | None) -> HandshakeFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        if "Hostname mismatch" in str(error):
            return HandshakeFailed("wrong-node", f"its certificate is not that of node {dialled}")
        if "expired" in error.verify_message or "not yet valid" in error.verify_message:
            return HandshakeFailed("expired", f"its certificate is not valid now: {error.verify_message}")
        return HandshakeFailed("wrong-cluster", f"its certificate is not of this cluster: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return HandshakeFailed(HUNG_UP, "it hung up before a TLS connection stood")
    reason = error.reason or ""
    rule, text = _RULES.get(reason, ("not-tls", f"no TLS connection: {reason.lower().replace('_', ' ') or error}"))
    return HandshakeFailed(rule, text)
