"""How the host's process ends; a module of its own, for it is read before anything is imported that takes long."""

LOCKED_STATUS = 4  # another host holds `host.lock`
