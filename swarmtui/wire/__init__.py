"""wire: bytes between nodes, and between clients and nodes.

What it is
    certificates  who somebody is: the cluster's own authority, and TLS 1.3 contexts that check both sides; tls: the
                  handshake, and the stream; arrivals: one task that watches the sockets of all
    channels      the six lanes of a connection, their priorities and limits, and which role may speak on which
    frames        a length, a format, a channel, a body; nothing else is ever read from a socket
    codec         every message as a small msgpack head by cattrs, and one raw blob where bytes are only passed on
    admission     what a peer may say, by its certificate; rights: what a task may ask for
    connection    one TLS stream: a bounded queue a channel (queues, outgoing), one writer that coalesces, and whoever
                  hears, called with every message of what arrived (incoming)
    listener,dial how connections begin; a refusal says why, and a dial tells *refused* from every other failure
    faults        links broken on purpose: silence, delay and loss between certified nodes
    rpc           calls and streams over a connection, and responder, who answers them; answers: long lists of records
                  travel in parts; messages: the envelopes
    calls         the client protocol: what may be asked, and by whom; node_calls, key_calls, host_calls: of a node, for
                  keys of one, of the host; rules: the names of refusals by which the other end decides

Its contract
    A message arrives whole, once and in order within its channel, or the connection ends. `send_soon` never waits. Every
    queue, frame, answer and wait has a named limit; input beyond it closes that connection, and only that, with a reason.
    Who speaks is what the certificate says, never what the message says.

What it never does
    It decides nothing about a message's meaning, keeps no state beyond a connection and retries nothing: what was handed
    over and not delivered is lost, and the rooms above are made for that.
"""
