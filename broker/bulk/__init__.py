"""Many messages at once: rows of a table into messages by a saved mapping, and messages into tables, STIX and CloudEvents.

A room of its own in the pure core: it knows families and schemas, and nothing of how a message is signed, judged, stored or screened;
files, clocks and publishers are the application's.
"""
