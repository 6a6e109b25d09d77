"""Placement constraints: `node.labels.zone != c`, all of which a node must meet (swarmkit manager/constraint).

Keys: node.id, node.hostname, node.ip (an address or a network), node.role, node.platform.os, node.platform.arch,
node.labels.NAME and engine.labels.NAME. Values compare without regard to case. A key that is unknown, or a text that is
no constraint, matches no node under `==` nor `!=`, as in Docker.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import attrs

from swarmtui.objects.records import Node
from swarmtui.objects.specs import Placement

_CONSTRAINT = re.compile(r"\s*([A-Za-z][\w.\-]*)\s*(==|!=)\s*(.*?)\s*")
NODE_LABELS = "node.labels."
ENGINE_LABELS = "engine.labels."


@attrs.frozen
class Constraint:
    key: str
    wanted: str
    equal: bool


@lru_cache(maxsize=1024)
def parse_constraint(text: str) -> Constraint | None:
    """None when the text is no constraint."""
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        return None
    key, operator, wanted = match.groups()
    return Constraint(key=key, wanted=wanted, equal=operator == "==")


def satisfies(node: Node, placement: Placement) -> bool:
    """True when the node meets every constraint of the placement."""
    return all(_meets(node, parse_constraint(text)) for text in placement.constraints)


def _meets(node: Node, constraint: Constraint | None) -> bool:
    if constraint is None:
        return False
    if constraint.key.lower() == "node.ip":
        return _address_matches(node, constraint)
    found = value_of(node, constraint.key)
    if found is None:
        return False
    return (found.lower() == constraint.wanted.lower()) is constraint.equal


def value_of(node: Node, key: str) -> str | None:
    """What a node has under a key; a label that it lacks is an empty text; None for a key that no node has."""
    lowered = key.lower()
    if lowered.startswith(NODE_LABELS):
        return node.spec.labels.get(key[len(NODE_LABELS) :], "")
    if lowered.startswith(ENGINE_LABELS):
        return ""  # a node here has no engine of its own to label
    match lowered:
        case "node.id":
            return node.id
        case "node.hostname":
            return node.description.hostname or node.spec.name
        case "node.role":
            return node.role.value
        case "node.platform.os":
            return node.description.os
        case "node.platform.arch":
            return node.description.architecture
    return None


def _address_matches(node: Node, constraint: Constraint) -> bool:
    try:
        address = ipaddress.ip_address(node.status.address.rpartition(":")[0].strip("[]"))
        network = ipaddress.ip_network(constraint.wanted, strict=False)
    except ValueError:
        return False
    return (address in network) is constraint.equal
