"""Certificates say who somebody is, and TLS believes nothing else."""

import ssl
import time

import pytest

from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import (
    Authority,
    Identity,
    NotCertified,
    create_authority,
    identity_of,
    identity_of_pem,
    load_credentials,
    needs_renewal,
)

DAY_S = 86_400


def test_a_certificate_names_cluster_role_and_node():
    certificate = create_authority("c1").issue(Peerage.MANAGER, "node0", "n1")
    assert identity_of_pem(certificate.pem) == Identity("c1", Peerage.MANAGER, "node0")
    assert identity_of_pem(certificate.pem).name == "n1"


@pytest.mark.parametrize("role", [Peerage.ADMIN, Peerage.OBSERVER, Peerage.HOST])
def test_those_who_are_no_nodes_are_named_by_their_role(role):
    identity = identity_of_pem(create_authority("c1").issue(role).pem)
    assert (identity.role, identity.node_id, identity.is_node) == (role, str(role), False)


def test_a_certificate_is_due_for_renewal_past_half_its_life():
    pem = create_authority("c1").issue(Peerage.WORKER, "w").pem
    assert not needs_renewal(pem, time.time())
    assert not needs_renewal(pem, time.time() + 44 * DAY_S)
    assert needs_renewal(pem, time.time() + 46 * DAY_S)
    assert needs_renewal(b"not a certificate", time.time())


def test_an_authority_survives_its_files():
    made = create_authority("c1")
    read = Authority.from_pem(made.certificate_pem, made.key_pem)
    assert read == made
    assert identity_of_pem(read.issue(Peerage.ADMIN).pem).cluster == "c1"
    with pytest.raises(NotCertified, match="authority"):
        Authority.from_pem(b"", b"")


def test_both_contexts_speak_tls_1_3_only_and_check_the_other_side(certified):
    credentials = certified.credentials(Peerage.MANAGER, "node0")
    for context in (credentials.server, credentials.client):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert credentials.client.check_hostname


def test_a_damaged_certificate_is_named(certified, tmp_path):
    damaged = tmp_path / "node.pem"
    damaged.write_text("rubbish")
    with pytest.raises(NotCertified, match=r"node\.pem"):
        load_credentials(damaged, certified.ca)


def test_a_subject_that_does_not_say_who_it_is_is_refused():
    with pytest.raises(NotCertified, match="no certificate"):
        identity_of(None)
    with pytest.raises(NotCertified, match="commonName"):
        identity_of({"subject": ((("organizationName", "c"),), (("organizationalUnitName", "admin"),))})
    subject = {"organizationName": "c", "organizationalUnitName": "king", "commonName": "x"}
    with pytest.raises(NotCertified, match="'king'"):
        identity_of({"subject": tuple(((key, value),) for key, value in subject.items())})


def test_keys_never_show_in_a_repr():
    authority = create_authority("c1")
    assert "PRIVATE" not in repr(authority)
    assert "PRIVATE" not in repr(authority.issue(Peerage.ADMIN))
