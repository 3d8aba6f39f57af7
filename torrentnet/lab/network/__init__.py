"""The network between a lab's nodes, made what a scenario asks for, on Linux.

::

    desired_state    what all link overrides in force ask of every directed pair (pure)
    node_settings    what that means for each single node (pure)
    render           one node's settings as one shell script (pure): ``shaping`` with tc, ``filter_rules`` with iptables
    controller       runs the scripts in the nodes whose settings have changed
    netns_exec       runs scripts in nodes' network namespaces
    counters         reads back what the rules have counted
    probe            tries what the kernel can do
    capabilities     which qualities this engine supports, cached
    impairment       the seam for delay, jitter, corruption, duplication and reordering
    userspace        their path through that seam where the kernel has no netem
    persisted_rules  restores the rules of nodes that a user starts again by hand

A node is known by its name and its IPv4 address, and reached by one function that runs a command as root
(:class:`torrentnet.lab.network.netns_exec.NodeExec`), whichever engine runs it.
"""
