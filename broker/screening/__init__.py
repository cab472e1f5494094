"""Screening: shipments as carriers and traders declare them, compared with what an agency's register holds.

A room of its own beside ``exchange``: it reads formats of others (manifests, declarations) and knows nothing of signing, release and
delivery; what it compares with are the keys of ``register``.
"""
