"""raft: consensus as pure functions of state and event."""
