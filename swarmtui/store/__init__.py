"""store: the replicated state machine: transactions, versions, indexes, watch, snapshots."""
