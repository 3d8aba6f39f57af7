"""Nodes as processes: on this machine alone, with no Docker.

::

    engine     the lab's side: :class:`torrentnet.lab.engines.local.engine.LocalEngine`
    client     asks a lab's keeper
    hold       starts it, and lets it end with the lab
    registry   which labs there are on this machine, and removing those of the dead
    addresses  which addresses a lab gets
    examine    whether nodes can have networks of their own here
    protocol   what the two sides say to each other
    keeper     the process that owns a lab's nodes: when it ends, however that happens, they end
    loop       its loop
    callers    who asks it
    journal    what the nodes printed and how they lived, one file a lab
    nodes      the nodes, and the commands in them
    programs   our own programs, loaded once for all nodes
    spawn      a process in a node
    view       what a node sees of the machine
    hub        the network of a lab: one namespace with a bridge, one more for each node
    kernel     the system calls that Python 3.11 does not have

From ``keeper`` on, and with ``protocol``, they run in the keeper: they use the standard library only, and import little
of it.
"""
