"""Lifecycles (domain dictionary 4): one transition table a file, and what orders revisions wherever they are seen."""
