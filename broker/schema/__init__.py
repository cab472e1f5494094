"""Avro schemas by content id: canonical form, lint, structural walk, codec, catalogue. Pure."""
