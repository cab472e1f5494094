"""Side-by-side measurements: this exchange and its peers, on one real Kafka, in one run, with the same values.

``make bench`` runs all rows, ``make bench ROWS=publish,relay`` some, ``ROUNDS=3`` makes it shorter. Ratios count; absolute figures
only explain, for they are those of one machine that holds Kafka and its clients at once.
"""
