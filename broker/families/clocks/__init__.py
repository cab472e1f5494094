"""Clocks: what is due, from whom, to whom, and who is told of silence. Time is an argument everywhere."""
