"""Tests of broker.schema."""
