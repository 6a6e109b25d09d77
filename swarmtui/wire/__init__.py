"""wire: bytes between nodes, and between clients and nodes.

Frames, the codec, TLS with the cluster's own authority, connections with prioritised channels, link faults, and the
client protocol (`calls`). This room moves messages and refuses bad ones; it never decides what a message means.
"""
