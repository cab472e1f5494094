"""``broker policy``: the rules of the exchange."""

from __future__ import annotations

from cyclopts import App

from broker.cli import policy_officers

app = App(name="policy", help="The rules of who may see what: propose, sign, apply and show them.")
policy_officers.register(app)
