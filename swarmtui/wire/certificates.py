"""Who somebody is: the cluster's own certificate authority and the TLS contexts made of its certificates.

A certificate says three things, and nothing else about its owner is believed: O is the cluster's id, OU the role, CN (and
SAN, which a dialler checks) the node's id. Admin, observer and host are named by their role. The keys are ECDSA P-256.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmtui.wire.calls import Peerage

AUTHORITY_VALIDITY_DAYS = 20 * 365  # as swarmkit's root
CERTIFICATE_VALIDITY_DAYS = 90  # as swarmkit's nodes
BACKDATED_HOURS = 1  # a clock that is a little behind must not refuse a new certificate

HOST_ID = "host"
"""The node id in the certificate of the host, which is no node."""


class NotCertified(Exception):
    """The other side's certificate does not say who it is, or not as this cluster says it."""


@attrs.frozen
class Identity:
    """Who a certificate says somebody is. `name` is for people only and never compared."""

    cluster: str
    role: Peerage
    node_id: str
    name: str = attrs.field(default="", eq=False)

    @property
    def is_node(self) -> bool:
        """True of managers and workers."""
        return self.role is Peerage.MANAGER or self.role is Peerage.WORKER

    @property
    def is_on_node(self) -> bool:
        """True of nodes and of their tasks (`node_id` is then the node's): those whose links can be broken."""
        return self.is_node or self.role is Peerage.TASK

    def __str__(self) -> str:
        if self.role is Peerage.TASK:
            return f"a task on {self.name or self.node_id}"
        return f"{self.role} {self.name or self.node_id}" if self.is_node else f"the {self.role}"


# ------------------------------------------------------------------------------------------------------ the authority


@attrs.frozen
class Certificate:
    """A certificate and its private key, each PEM; `pem` is both, as `node.pem` holds them (0600)."""

    certificate_pem: bytes
    key_pem: bytes = attrs.field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate_pem + self.key_pem


@attrs.frozen
class Authority:
    """The cluster's own authority. `key_pem` is the cluster's deepest secret: whoever has it can be anybody."""

    cluster_id: str
    certificate_pem: bytes
    key_pem: bytes = attrs.field(repr=False)

    @classmethod
    def from_pem(cls, certificate_pem: bytes, key_pem: bytes) -> Authority:
        """The authority that `ca.pem` and `ca.key` hold. Raises NotCertified."""
        try:
            subject = x509.load_pem_x509_certificate(certificate_pem).subject
            serialization.load_pem_private_key(key_pem, None)
        except ValueError as error:
            raise NotCertified(f"not an authority's certificate and key: {error}") from None
        return cls(_only(subject, NameOID.ORGANIZATION_NAME), certificate_pem, key_pem)

    def issue(self, role: Peerage, node_id: str = "", name: str = "") -> Certificate:
        """A certificate for a node, or for the admin, the observer or the host, who need no id."""
        node_id = node_id or str(role)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self.certificate_pem)
        issuer_key = cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(self.key_pem, None))
        builder = (
            _builder(_subject(self.cluster_id, str(role), node_id, name), issuer.subject, CERTIFICATE_VALIDITY_DAYS)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(node_id)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        return Certificate(_pem(builder.sign(issuer_key, hashes.SHA256())), _key_pem(key))


def create_authority(cluster_id: str) -> Authority:
    """A new authority with a key of its own, for one cluster."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(cluster_id, "authority", f"swarmtui {cluster_id}", "")
    certificate = (
        _builder(subject, subject, AUTHORITY_VALIDITY_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(cluster_id, _pem(certificate), _key_pem(key))


def needs_renewal(pem: bytes, now: float) -> bool:
    """True when the first certificate in `pem` is past half its life at `now` (seconds since the epoch), or unreadable."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return True
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return now >= begin + (end - begin) / 2


def _subject(cluster_id: str, role: str, common_name: str, name: str) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster_id),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    if name:
        attributes.append(x509.NameAttribute(NameOID.PSEUDONYM, name))
    return x509.Name(attributes)


def _builder(subject: x509.Name, issuer: x509.Name, validity_days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=BACKDATED_HOURS))
        .not_valid_after(now + datetime.timedelta(days=validity_days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _only(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = [str(attribute.value) for attribute in subject.get_attributes_for_oid(oid)]
    if len(values) != 1:
        raise NotCertified(f"the certificate's subject has {len(values)} values of {oid.dotted_string}, one is needed")
    return values[0]


# ------------------------------------------------------------------------------------------------------------ contexts


@attrs.define
class Credentials:
    """What one side of every connection needs: who it is, and a TLS context for each direction. Shared by all that dial
    and listen, so that a new certificate counts for every connection from then on."""

    identity: Identity
    server: ssl.SSLContext = attrs.field(repr=False)
    client: ssl.SSLContext = attrs.field(repr=False)

    def become(self, other: Credentials) -> None:
        """Show this certificate from now on; connections that stand keep the one that they were made with."""
        self.identity, self.server, self.client = other.identity, other.server, other.client


def load_credentials(certificate: Path, authority: Path) -> Credentials:
    """From `node.pem` (certificate and key) and `ca.pem`. Raises NotCertified, OSError."""
    authority.read_bytes()  # here, for OpenSSL does not say which file cannot be read
    identity = certificate.read_bytes()
    try:
        server, client = server_context(certificate, authority), client_context(certificate, authority)
    except ssl.SSLError as error:
        raise NotCertified(f"{certificate} or {authority} is no certificate with its key: {error.reason}") from None
    return Credentials(identity_of_pem(identity), server, client)


def server_context(certificate: Path, authority: Path) -> ssl.SSLContext:
    """Accepts TLS 1.3 only, and only from holders of a certificate of this authority."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, certificate, authority)
    context.num_tickets = 0  # connections are kept; resumption would only cost two records each
    return context


def client_context(certificate: Path, authority: Path) -> ssl.SSLContext:
    """Dials TLS 1.3 only; the other side must hold a certificate of this authority for the very id that is dialled."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, certificate, authority)
    context.check_hostname = True
    return context


def _context(protocol: int, certificate: Path, authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=str(authority))
    context.load_cert_chain(str(certificate))
    return context


# ---------------------------------------------------------------------------------------------------------- identities


def identity_of_pem(pem: bytes) -> Identity:
    """Who the first certificate in `pem` is for. Raises NotCertified."""
    try:
        subject = x509.load_pem_x509_certificate(pem).subject
    except ValueError as error:
        raise NotCertified(f"not a certificate: {error}") from None
    names = subject.get_attributes_for_oid(NameOID.PSEUDONYM)
    return _identity(
        _only(subject, NameOID.ORGANIZATION_NAME),
        _only(subject, NameOID.ORGANIZATIONAL_UNIT_NAME),
        _only(subject, NameOID.COMMON_NAME),
        str(names[0].value) if names else "",
    )


def identity_of(peer_certificate: Mapping[str, Any] | None) -> Identity:
    """Who the other side is: `stream.getpeercert()` of a TLS stream after its handshake. Raises NotCertified."""
    if not peer_certificate:
        raise NotCertified("no certificate was shown")
    fields: dict[str, list[str]] = {}
    for attributes in peer_certificate.get("subject", ()):
        for key, value in attributes:
            fields.setdefault(key, []).append(value)
    values = []
    for key in ("organizationName", "organizationalUnitName", "commonName"):
        if len(fields.get(key, ())) != 1:
            raise NotCertified(f"the certificate's subject has {len(fields.get(key, ()))} {key}, one is needed")
        values.append(fields[key][0])
    cluster, role, node_id = values
    return _identity(cluster, role, node_id, fields.get("pseudonym", [""])[0])


def _identity(cluster: str, role: str, node_id: str, name: str) -> Identity:
    try:
        return Identity(cluster, Peerage(role), node_id, name)
    except ValueError:
        raise NotCertified(f"the certificate's role {role!r} is none of {', '.join(Peerage)}") from None
