"""manager: what only the leader runs: orchestrators, restart, scheduler, dispatcher, reaper."""
