"""commands: the one registry of what a person can order: name, parameters, help, risk, undo, effect on the quorum.

The command line, the console's keys, its `:` line and its palette are all generated from `registry.REGISTRY`; none of them
knows a command by itself. A command is data plus one function `run(context, arguments)`, which speaks to the cluster
through the client only and shows what it finds through an `Output`. This room never prints, never parses words and never
exits; what goes wrong is an exception of `errors` or of the client, each with one line of text and an exit code.

    registry    Command, Parameter, Arguments, Context; the list of all commands
    output      what a command shows: listings, documents, lines, progress
    targets     from the words `n1`, `web.2`, `leader` to nodes, tasks and services
    effects     what a step would do to the quorum and to last replicas: pure arithmetic, for confirmation
    one module a noun: cluster, nodes, services, tasks, kv, raft, faults, events
"""
