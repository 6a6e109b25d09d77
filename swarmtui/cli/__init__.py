"""cli: the command line, generated from the registry.

    grammar   words to a command with its arguments, or to one sentence of what is wrong; nothing runs and nothing exits
    formats   table, JSON, plain and templates: from what a command shows to text
    terminal  the `Output` of a shell: standard output and error, progress, narrow and plain terminals
    main      one order from beginning to exit code; start, the door to it: how it begins and ends fast

Nothing here imports textual, and the client is imported only once an order needs it, so that help and mistakes are instant.
"""
