"""Consent to use or pass on another agency's information (domain dictionary 4, consent), kept by the one who asked."""

from typing import Final

from broker.families.lifecycles.machine import CLOCK, OWNER, RECIPIENT, Machine, move

_ANY = "REQUESTED GRANTED GRANTED_WITH_LIMIT REFUSED"

CONSENT: Final = Machine(
    name="consent",
    title="a consent",
    doc=(
        "The request's recipient owns the information and decides; it may decide anew by a later revision of its reply. A consent that "
        "has expired or was withdrawn is asked for again."
    ),
    initial="REQUESTED",
    final=frozenset({"REFUSED", "EXPIRED", "WITHDRAWN", "CANCELLED"}),
    standing=frozenset({"GRANTED", "GRANTED_WITH_LIMIT"}),
    moves=(
        move("GRANT", _ANY, "GRANTED", RECIPIENT, "consent_reply GRANT"),
        move("GRANT_WITH_LIMIT", _ANY, "GRANTED_WITH_LIMIT", RECIPIENT, "consent_reply GRANT_WITH_LIMIT"),
        move("REFUSE", "REQUESTED REFUSED", "REFUSED", RECIPIENT, "consent_reply REFUSE"),
        move(
            "WITHDRAW",
            "GRANTED GRANTED_WITH_LIMIT WITHDRAWN",
            "WITHDRAWN",
            RECIPIENT,
            "consent_reply WITHDRAW",
            "begins a recall",
        ),
        move("EXPIRE", "GRANTED GRANTED_WITH_LIMIT", "EXPIRED", CLOCK, guard="the period of the grant is over"),
        move("CANCEL", "REQUESTED", "CANCELLED", OWNER, "a recall of the consent_request"),
    ),
)
