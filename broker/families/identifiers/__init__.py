"""Identifiers and codes of trade: their grammars and check digits (domain dictionary 2.6 and 2.7), as pure functions of one text."""
