"""etcd, PySyncObj and this project under the same load on the same disk: `python -m tests.bench.compare [--quick]`.

    contender   what each of the three can do here: start its three members, take a load, tell its processes, end
    loader      one order a line to the process that makes the load, one answer a line back
    etcd, pysync, ours      the three
    ours_load   the load for this project: `swarmtui.client` in one process, as its documentation says
    report      the tables

All three clusters stand for the whole time and are loaded in turn, cell by cell and round by round, so that a drift of
the machine meets all of them; a figure is the median of the rounds. Whatever was started is ended, also after Ctrl-C.
"""
