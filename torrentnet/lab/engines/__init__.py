"""What runs a lab's nodes.

::

    interface      what a lab asks of an engine
    types          the values that pass between the two
    selection      which engine runs
    command_lines  what each node is to run
    subnets        which addresses a lab gets
    owner          the process that made a lab, and whether it still lives
    child_process  commands that the lab runs on the host
    docker, local  the engines; neither knows the other
"""
