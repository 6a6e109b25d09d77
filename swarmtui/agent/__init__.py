"""agent: what every node runs: its session with the leader, its tasks, the executors."""
