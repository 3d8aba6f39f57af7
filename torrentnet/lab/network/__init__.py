"""The fault engine: makes the network between the nodes what a scenario asks for, on Linux.

::

    state      what all patches in force ask of every directed pair (pure)
    settings   what that means for each single node (pure)
    render     one node's settings as one shell script (pure): ``shaping`` with tc, ``rules`` with iptables
    apply      runs the scripts in the nodes whose settings have changed
    measure    reads back what the rules have counted
    probe      which qualities this kernel offers, and how
    backend    the seam for delay, jitter, corruption, duplication and reordering
    userspace  their way through that seam where the kernel has no netem
    together   many nodes by one command, where an engine has a helper container (``inside`` is what runs there)

It knows a node by its name and its IPv4 address, and reaches it by one function that runs a command as root
(:class:`torrentnet.lab.network.controller.NodeExec`); which engine runs the node is not its business.
"""
