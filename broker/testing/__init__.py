"""Shipped test doubles: the in-memory exchange, a fixed clock, builders. They pass the same contract suite as Kafka."""
