"""Ports of services as docker writes them."""

from __future__ import annotations

import re

import pytest

from swarmtui.cli.grammar import UsageProblem, parse, split_line
from swarmtui.objects.records import Service
from swarmtui.objects.specs import PortConfig


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ("published=8080,target=80", PortConfig(8080, 80)),
        ("target=80,published=8080,protocol=tcp,mode=ingress", PortConfig(8080, 80)),
        ("published=8080", PortConfig(8080, 0)),
    ],
)
async def test_a_port_in_dockers_long_form(order, cluster, words, port):
    await order(f"service create -d --name web -p {words} -- sleep 100")
    service = cluster.store.by_name(Service, "web")
    assert service is not None
    assert service.spec.endpoint_spec.ports == (port,)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("target=80", "'target=80' is no port; write \"published=8080,target=80\""),
        ("published=8080,tarket=80", 'is no port; write "published=8080'),
        ("published=8080,target=80,mode=host", "mode=ingress"),
        ("published=8080,target=80,protocol=udp", "only tcp can be published"),
        ("published=99999,target=80", "is no port"),
    ],
)
def test_a_bad_port_in_dockers_long_form(words, sentence):
    with pytest.raises(UsageProblem, match=re.escape(sentence)):
        parse(split_line(f"service create --name web -p {words} -- sleep 100"))
