"""console: the Textual application."""
