"""commands: the one registry of what a person can order: name, parameters, help, risk, undo, effect on the quorum.

The command line, the console's keys, its `:` line and its palette are all generated from `registry.REGISTRY`; none of them
knows a command by itself. A command is data plus one function `run(context, arguments)`, which speaks to the cluster
through the client only and shows what it finds through an `Output`. This room never prints, never parses words and never
exits; what goes wrong is an exception of `errors` or of the client, each with one line of text and an exit code.

    command     what a command is: Command, Parameter, Arguments, Context
    registry    the list of all commands
    output      what a command shows: listings, documents, lines, progress
    ports       what is needed of the client; machine: what is needed of this machine
    targets     from the words `n1`, `web.2`, `leader` to nodes, tasks and services
    effects     what a step would do to the quorum and to last replicas: pure arithmetic, for confirmation
    listings, words, pretty, filters   docker's columns, words and filters: pure
    convergence                        when a service is where it should be: pure, and waiting for it
    cluster, status, nodes, services, tasks, kv, raft, faults, events   the commands themselves, one module a noun
    planning, bring_up, apply_file     `up`, step by step
"""
