"""The network between a lab's nodes on Linux: links, partitions and faults.

::

    desired_state    what all link overrides in force ask of every directed pair (pure)
    node_settings    what that means for each single node (pure)
    render           one node's settings as one shell script (pure): ``shaping`` with tc, ``filter_rules`` with iptables
    controller       runs the scripts in the nodes whose settings have changed
    netns_exec       runs scripts in nodes' network namespaces
    counters         reads back what the rules have counted
    probe            tries what the kernel can do
    capabilities     caches which qualities this engine supports
    impairment       the seam for delay, jitter, corruption, duplication and reordering
    userspace        does these in a program of its own where the kernel has no netem
    persisted_rules  restores the rules of nodes that a user starts again by hand

Whichever engine runs the nodes, this package needs only their names, their IPv4 addresses, and one function that runs
a command in a node as root (:class:`torrentnet.lab.network.netns_exec.NodeExec`).
"""
