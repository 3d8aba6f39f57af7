"""The process that owns a lab's nodes.

When this process ends, however that happens, the nodes end.

::

    main            the supervisor
    event_loop      its loop
    request_server  its side of the protocol
    journal         what the nodes printed and how their states changed, one file a lab
    nodes           starts, signals and ends the nodes, and runs commands in them
    node_process    one node's process and output
    preload         our own programs, loaded once for all nodes
    spawner         starts a process in a node
    sandbox_root    what a node sees of the machine
    bridge          the network of a lab: a namespace with a bridge, and one for each node
    syscalls        the system calls that Python 3.11 does not have
    trial           tries whether this machine allows all of this

It uses the standard library only, and imports little of it. It starts, signals and isolates real processes, so clock,
sockets and files are the machine's own: the simulation has no supervisor.
"""
