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
    from broker.families.ack import ack
    from broker.families.alert import alert
    from broker.families.attachment import attachment
    from broker.families.consent_reply import consent_reply
    from broker.families.consent_request import consent_request
    from broker.families.correction import correction
    from broker.families.entity_watch import entity_watch
    from broker.families.feedback import feedback
    from broker.families.fz_warning import fz_warning
    from broker.families.licence import licence
    from broker.families.licence_usage import licence_usage
    from broker.families.licit_movement import licit_movement
    from broker.families.message import Audience, Message
    from broker.families.reachback import reachback
    from broker.families.reachback_reply import reachback_reply
    from broker.families.recall import recall
    from broker.families.recall_reply import recall_reply
    from broker.families.rfi import rfi
    from broker.families.rfi_reply import rfi_reply
    from broker.families.seizure import seizure
    from broker.service.publisher import Handle, Publisher
    from broker.service.subscriber import DONE, Delivery, Outcome, Reject, Retry, Subscriber
    from broker.values import Correlation, Evaluation

_FAMILIES: Final = (
    "alert licence seizure fz_warning entity_watch licit_movement ack feedback licence_usage rfi rfi_reply correction recall recall_reply "
    "consent_request consent_reply reachback reachback_reply attachment"
)
_HOMES: Final = {
    "app": "Member", "app.connect": "connect", "envelope.receipt": "Receipt", **{f"families.{name}": name for name in _FAMILIES.split()},
    "errors": "BrokerError ExchangeUnreachable Finding NotAuthorised Refusal RefusedError StoreError UsageError",
    "families.message": "Audience Message", "values": "Correlation Evaluation",
    "service.publisher": "Handle Publisher", "service.subscriber": "DONE Delivery Outcome Reject Retry Subscriber",
}  # fmt: skip
_HOME_OF: Final = {name: f"broker.{home}" for home, names in _HOMES.items() for name in names.split()}
__all__ = [  # noqa: RUF022 - in the order of use
    "Member", "connect", "Publisher", "Handle", "Receipt", "Subscriber", "Delivery", "DONE", "Outcome", "Retry", "Reject",
    "Message", "Audience", "Correlation", "Evaluation", "alert", "licence", "seizure", "fz_warning",
    "entity_watch", "licit_movement", "ack", "feedback", "licence_usage", "rfi", "rfi_reply", "correction", "recall", "recall_reply",
    "consent_request", "consent_reply", "reachback", "reachback_reply", "attachment", "Finding", "Refusal", "BrokerError",
    "UsageError", "RefusedError", "ExchangeUnreachable", "NotAuthorised", "StoreError",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # any public name
    if name not in _HOME_OF:
        raise AttributeError(f"broker has no `{name}`: its public names are {', '.join(__all__)}")
    return getattr(import_module(_HOME_OF[name]), name)
