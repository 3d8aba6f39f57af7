"""Nodes as processes of this machine, without Docker.

::

    engine             the lab's side: :class:`torrentnet.lab.engines.local.engine.LocalEngine`
    layout             where a lab's nodes have their addresses and files
    addresses          the subnet of a lab on the loopback interface
    registry           which labs this user has on this machine, and the removal of orphans
    diagnosis          whether nodes can have network namespaces here
    supervisor_handle  starts a lab's supervisor, and lets it end with the lab
    client             sends requests to the supervisor
    journal_follower   follows what the nodes print and how their states change
    print_logs         prints that, for ``torrentnet logs``
    protocol           the messages between the two sides
    supervisor         the process that owns a lab's nodes

It runs real processes: clock, sockets and files are the machine's own.
"""
