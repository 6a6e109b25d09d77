"""storage: what survives a crash: write-ahead log, snapshot files, identity."""
