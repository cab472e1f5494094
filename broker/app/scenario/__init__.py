"""Scripted exchanges: a file says who does what and who must get what; the runner does it for real and compares.

``script`` reads the file, ``world`` connects the agencies and watches topics, ``moves`` are the things that can be done, ``border``
is an exit office's check of a licence, ``judge`` compares, ``run`` joins them. Nothing here prints: what happens is told as the
values of ``events``.
"""
