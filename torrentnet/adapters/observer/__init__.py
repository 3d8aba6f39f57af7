"""The observer: what makes a program that knows nothing of the lab a node of it.

The program runs as a child on a pseudo-terminal. The observer reports, as event lines of its own, what can be seen from
outside: sockets, files, connections, datagrams, and what the program prints. Nothing that the program prints is ever
an event::

    python3 -m torrentnet.adapters.observer get --name leecher-1 --listen 127.0.0.1:6882 --tracker 127.0.0.1:6771
        --dir /data --file myfile.txt --size 14 --sha256 ... -- python3 peer.py get myfile.txt 127.0.0.1:6771 ...
"""
