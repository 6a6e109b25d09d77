"""client: the typed client that everything outside a node uses."""
