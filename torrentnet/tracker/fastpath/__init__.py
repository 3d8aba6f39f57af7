"""The fast path: answer the most frequent datagrams without an object per packet.

Nearly all datagrams are periodic announces of unchanged peers, or look-ups and outcomes of many peers that request the
same file. The fast path receives them in batches and answers them at almost the rate of a tracker in C on one core.

For each datagram, the fast path either does exactly what the handlers do (same answer, row, event and record), or
declines before it has changed anything; then the core handles the datagram. The fast path writes to the columns of the
peer table and shares the handlers' objects: swarms, open requests, audit log and the look-ups' response cache. Only the
server imports it.

tests/unit/tracker/fastpath/test_fast_path.py drives two trackers, with and without the fast path, with the same random
scripts and compares their answers, state, events and records.
"""
