"""The message families: sections, typed values, labels derived from them. Pure."""
