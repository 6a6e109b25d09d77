"""objects: what the cluster is made of, and the words in which its parts speak of it.

Plain frozen attrs classes: the records of the store (`records`, with their `specs` and `states`), the operations that
change them (`operations`), the messages between agent and dispatcher (`dispatch`), the one form of an event (`events`), and
what a cluster was created as (`manifest`). Around them:

    codec                  objects as bytes and back, for the wire, the log and the files: the one boundary
    rows                   keys as the store holds a million of them
    transactions           many of them as bytes, as a call brings them and a log entry holds them
    engine                 objects in the JSON of the Docker Engine API, as `inspect` prints them
    cluster_file, compose  the file that a cluster is created from, read and checked; `tables` takes its keys, `interpolation`
                           fills in its variables, `profiles` has what it leaves out
    notations, quantities, templates
                           ports, constraints, durations, sizes, `{{.Task.Slot}}`: as files and the command line write them
    identifiers, membership
                           fresh ids, and who a node is in the consensus
    constraints, matching  which nodes a placement allows, and whether a task is what its service asks for now
    counting               how many tasks run, for whoever says so

This room never decides, stores or sends anything and imports nothing of the project.
"""
