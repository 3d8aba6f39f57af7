"""Attacks on the tracker as a process, by raw datagrams from 127.0.0.0/8.

| attack | test |
| --- | --- |
| forged source address, id of another address | ``test_packets.test_forged_source_changes_nothing`` |
| id from the future, guessed id | ``test_packets.test_forged_source_changes_nothing`` |
| id older than two minutes, id that depends on key, time and address | ``tests/unit/wire/udp/test_connection_id.py`` |
| packets of 0 to 97 bytes, garbage of 98 | ``test_packets.test_short_and_random_packets_change_nothing`` |
| wrong event, port 0, address field, number of peers | ``test_packets.test_announce_fields`` |
| event ``paused`` | ``test_packets.test_announce_fields`` |
| scrape of 0 hashes, of half a hash, of more than 74 | ``test_packets.test_scrape_sizes`` |
| BEP 41 options past the end, unknown, behind the end | ``test_packets.test_options`` |
| raw escape sequences in names and reasons | ``test_packets.test_controls_never_reach_the_output`` |
| amplification | ``test_packets.test_forged_source_changes_nothing`` |
| stopped for an unknown peer, completed twice, left goes up | ``test_state.test_counts_stay_right`` |
| duplicates, reordering, loss | ``test_state.test_repeats_open_one_request``, ``test_lossy_link.py`` |
| start and stop at once | ``test_state.test_stop_while_receiving`` |
| tracker restart | ``tests/loopback/test_tracker_process.py`` |
| throughput | ``make bench only=tracker``; beside an attack: ``make bench only=hostile`` |
| table flooding | ``test_shares.test_one_address_cannot_register_without_bound`` |
| size of one peer, piece length of another | ``test_shares.test_two_announces_do_not_spoil_a_file`` |
| possession reports of alternating bits | ``test_shares.test_possession_reports_of_many_ranges`` |
| made-up seeds of one address | ``test_shares.test_honest_seed_is_on_the_first_page`` |
| twelve addresses with all open requests | ``test_shares.test_open_requests_have_a_share_for_each_address`` |
| event lines by look-ups alone | ``test_shares.test_lines_are_bounded`` |
| journal's bytes by long lists of holders | ``test_shares.test_journal_is_bounded`` |
| journal with a damaged part | ``test_state.test_damaged_journal_does_not_stop_the_service`` |
| another peer's name | ``test_shares.test_name_of_another_peer_keeps_its_address`` |
| the same file as private and as public | ``tests/unit/tracker/handlers/test_announce.py`` |
| fewer than nine descriptors, Ctrl-C at the start | ``tests/loopback/test_tracker_process.py`` |
"""
