"""Joins the pure packages below it: admit a record, decide who gets what, build the deliveries."""
