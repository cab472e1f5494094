"""Tests of broker.kafka that need no Kafka."""
