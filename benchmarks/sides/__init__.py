"""One process a side: ``python -m benchmarks.sides.<name> '<spec as JSON>'`` prints one JSON line with what it measured.

A side opens its clients, deals with the warm-up's messages, then measures from there to the last message: the clock, and the
process's own processor time (``getrusage``), which counts client threads too.
"""
