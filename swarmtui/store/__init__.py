"""store: the replicated state machine, the same on every manager after the same log.

`Store` holds one table for each kind of object and is changed by `apply` only: an entry of the log in, one Result for
each of its transactions out. Everything else reads: `get`, `all`, `tasks`, `keys`, `watch`.

What holds, always:

- Apply is a function of the store and the entry. Ids, times and random values are in the entry; this room asks no clock
  and draws nothing. Two stores that applied the same entries have the same `digest`.
- Apply is total: an entry that is malformed or refused is a Result, and leaves nothing behind (`apply` undoes what a
  refused transaction had done).
- An object's `version` is the index of the entry that last wrote it. So no two transactions of one entry write the same
  object: `batching` keeps them apart, and `apply` refuses the second.
- A client's request that names its session and serial is applied once, however often it is in the log (`sessions`).
- Objects are frozen. Readers, watchers and snapshots share them; freezing the store copies no object.
- Limits (`validation`) bind who *proposes*. Apply obeys what the log holds: replicas of different versions, each with its
  own limits, must not part ways.

Tables and their indexes are in `tables` (of the keys in `shards` and `ordered`, for there may be a million), the operations'
rules in `judge`, the stream of changes in `watch`, the byte form of the whole in `snapshot`, lines of text for people in
`describe` and `differences`. The store never waits, sends, logs or locks: it
belongs to one event loop, and only a `Frozen` copy may be read in another thread.
"""

from swarmtui.store.snapshot import Frozen, MalformedSnapshot
from swarmtui.store.store import OutOfOrder, Store
from swarmtui.store.watch import Change, Resync, Watch

__all__ = ["Change", "Frozen", "MalformedSnapshot", "OutOfOrder", "Resync", "Store", "Watch"]
