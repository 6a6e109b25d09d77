"""node: one node = one nursery: wires the rooms together."""
