"""Async loops over ports only: publisher, relay, subscriber, registrar."""
