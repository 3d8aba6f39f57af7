"""The fast path: a showcase of speed, fenced off from the rest.

What it is for: nearly all datagrams are periodic announces of peers with nothing new, and in a crowd look-ups and
outcomes of peers that want one file. The fast path takes them from the kernel in batches and answers them without
an object per packet; one Python process then serves as many announces as a tracker in C on the same core, or almost.

What it may assume: nothing that it does not check. It either does exactly what the handlers would do, to the byte of
the answer, the row, the event and the record, or it declines before it has changed anything, and the core handles the
datagram. It writes to the columns of the peer table and shares its objects with the handlers (swarms, open requests,
audit log, the look-ups' response cache); no other module knows it, except for the server.

What holds it: tests/unit/tracker/fastpath/test_fast_path.py drives two trackers with the same random scripts, one with
and one without the fast path, and compares answers, state, events and records.
"""
