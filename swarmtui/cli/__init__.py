"""cli: the command line, generated from the registry."""
