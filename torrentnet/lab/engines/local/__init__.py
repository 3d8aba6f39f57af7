"""Nodes as processes: on this machine alone, with no Docker.

::

    engine     the lab's side: :class:`torrentnet.lab.engines.local.engine.LocalEngine`
    client     asks a lab's keeper
    registry   which labs there are on this machine, and removing those of the dead
    addresses  which addresses a lab gets
    examine    whether nodes can have networks of their own here
    protocol   what the two sides say to each other
    keeper     the process that owns a lab's nodes: when it ends, however that happens, they end
    journal    what the nodes printed and how they lived, one file a lab
    spawn      a process in a node, with the node's view of files, processes and network
    hub        the network of a lab: one namespace with a bridge, one more for each node
    kernel     the system calls that Python 3.11 does not have

The last six and ``protocol`` run in the keeper: they use the standard library only, and import little of it.
"""
