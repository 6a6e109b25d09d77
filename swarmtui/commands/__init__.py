"""commands: the one registry of what a person can order: name, parameters, help, risk, undo, effect on the quorum.

The command line, the console's keys, its `:` line and its palette are all generated from `registry.REGISTRY`; none of them
knows a command by itself. A command is data plus one function `run(context, arguments)`, which speaks to the cluster
through the client only and shows what it finds through an `Output`. This room never prints and never exits, and splits no
words; what goes wrong is an exception of `errors` or of the client, each with one line of text and an exit code.

    command     what a command is: Command, Parameter, Arguments, Context
    registry    the list of all commands
    output      what a command shows: listings, documents, lines, progress
    ports       what is needed of the client; machine: what is needed of this machine
    targets     from the words `n1`, `web.2`, `leader` to nodes, tasks and services
    effects     what a step would do to the quorum and to last replicas: pure arithmetic, for confirmation
    listings, words, pretty, filters   docker's columns, words and filters: pure
    service_options                    the options of `service create` and `update`, and what they make of a spec: pure;
                                       `foreign_options` are docker's that are refused, and why
    convergence                        when a service is where it should be: pure, and waiting for it; `published` says
                                       which of its ports nobody listens to
    views, together, each, common      reading the cluster, side by side; one order for several targets; shared options
    cluster, status, nodes, members, services, tasks, kv, lock, raft, recovery, faults, events
                                       the commands themselves, one module a noun (or two)
    task_output, merging               `logs`, of tasks and of services, put in the order of its times; `moments` are its
                                       --since and --until, and those of `events`
    planning, bring_up, apply_file     `up`, step by step
    child                              the program of `lock NAME -- COMMAND`, which runs in our place
"""
