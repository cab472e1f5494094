"""Durable edges: homes, key files, SQLite stores, files shipped with the program."""
