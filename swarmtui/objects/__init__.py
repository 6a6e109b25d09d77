"""objects: what the cluster is made of, and the words in which its parts speak of it.

Plain frozen attrs classes, each valid by construction: the records of the store (`records`, with their `specs` and
`states`), the operations that change them (`operations`), the messages between agent and dispatcher (`dispatch`) and the
one form of an event (`events`). This room never decides, stores or sends anything and imports nothing of the project.
"""
