"""demo: the small programs of the default cluster."""
