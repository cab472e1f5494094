"""Exchange of signed alerts, licence decisions and seizure reports between agencies, over Apache Kafka.

These are the public names; each is loaded when it is first asked for, so that ``import broker`` loads no Kafka client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from broker.app import Member
    from broker.app.connect import connect
    from broker.envelope.receipt import Receipt
    from broker.errors import BrokerError, ExchangeUnreachable, Finding, NotAuthorised, Refusal, RefusedError, StoreError, UsageError
    from broker.families.alert import alert
    from broker.families.licence import licence
    from broker.families.message import Audience, Correlation, Evaluation, Message
    from broker.families.seizure import seizure
    from broker.service.publisher import Handle, Publisher
    from broker.service.subscriber import DONE, Delivery, Outcome, Reject, Retry, Subscriber

_HOMES: Final = {
    "app": "Member", "app.connect": "connect", "envelope.receipt": "Receipt", "families.alert": "alert", "families.licence": "licence",
    "errors": "BrokerError ExchangeUnreachable Finding NotAuthorised Refusal RefusedError StoreError UsageError",
    "families.message": "Audience Correlation Evaluation Message", "families.seizure": "seizure",
    "service.publisher": "Handle Publisher", "service.subscriber": "DONE Delivery Outcome Reject Retry Subscriber",
}  # fmt: skip
_HOME_OF: Final = {name: f"broker.{home}" for home, names in _HOMES.items() for name in names.split()}
__all__ = [  # noqa: RUF022 - in the order of use
    "Member", "connect", "Publisher", "Handle", "Receipt", "Subscriber", "Delivery", "DONE", "Outcome", "Retry", "Reject",
    "Message", "Audience", "Correlation", "Evaluation", "alert", "licence", "seizure", "Finding", "Refusal", "BrokerError",
    "UsageError", "RefusedError", "ExchangeUnreachable", "NotAuthorised", "StoreError",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # any public name
    if name not in _HOME_OF:
        raise AttributeError(f"broker has no `{name}`: its public names are {', '.join(__all__)}")
    return getattr(import_module(_HOME_OF[name]), name)
