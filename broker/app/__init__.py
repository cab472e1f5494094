"""The composition root: the only place that knows both services and edges. It makes objects and owns no rule."""

from broker.app.parties import SHARDS, Connect, Member, Operator, pin_of, shipped_bundle

__all__ = ["SHARDS", "Connect", "Member", "Operator", "pin_of", "shipped_bundle"]
