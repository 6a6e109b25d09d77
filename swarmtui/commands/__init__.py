"""commands: the one registry of commands: name, arguments, help, risk, undo, effect on the quorum."""
