"""Adaptors to Apache Kafka: transport, administration, the embedded node."""
