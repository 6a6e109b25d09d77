"""The TLS handshake of both directions, and its failures in words that a person can act on."""

from __future__ import annotations

import ssl

import trio

from swarmtui.wire.certificates import Identity, NotCertified, identity_of

HANDSHAKE_TIMEOUT_S = 5.0

TlsStream = trio.SSLStream[trio.SocketStream]


class HandshakeFailed(Exception):
    """No TLS connection came about. `rule` is a short fixed name for what was wrong with the other side."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


async def shake_hands(
    transport: trio.SocketStream, context: ssl.SSLContext, *, dialled: str | None = None
) -> tuple[TlsStream, Identity]:
    """Both sides' certificates are checked; `dialled` is the node id that the other side's must be for (the dialling
    side names it). Raises HandshakeFailed; has no timeout of its own."""
    stream: TlsStream = trio.SSLStream(
        transport, context, server_hostname=dialled, server_side=dialled is None, https_compatible=False
    )
    try:
        await stream.do_handshake()
        return stream, identity_of(stream.getpeercert())
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise _explain(error.__cause__ or error, dialled) from None
    except NotCertified as error:
        raise HandshakeFailed("no-certificate", str(error)) from None


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
        return HandshakeFailed("hung-up", "it hung up before a TLS connection stood")
    reason = error.reason or ""
    rule, text = _RULES.get(reason, ("not-tls", f"no TLS connection: {reason.lower().replace('_', ' ') or error}"))
    return HandshakeFailed(rule, text)
