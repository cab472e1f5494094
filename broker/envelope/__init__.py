"""Bytes of the wire format: deterministic CBOR, COSE_Sign1, parcels, header, slip, receipt. Pure."""
