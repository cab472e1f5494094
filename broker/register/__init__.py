"""The register, pure part: what a delivered message changes in an agency's view of what is true now. Rows are values.

The state is a function of the **set** of messages that came, not of their order: :mod:`broker.register.changes` makes the rows of
one message, the highest revision of a subject gives its rows, and :mod:`broker.register.crossing` derives flags from rows alone.
:mod:`broker.storage.register` keeps them in SQLite.
"""
