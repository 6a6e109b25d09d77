"""sim: a whole cluster in virtual time, from a seed."""
