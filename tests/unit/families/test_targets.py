"""Whom an answer goes to when nobody is named, and what builders put in by themselves."""

from __future__ import annotations

import pytest

from broker.families.catalogue import FAMILIES
from broker.families.correction import correction
from broker.families.feedback import feedback
from broker.families.message import Audience
from broker.families.targets import owner_only
from broker.values import Correlation
from tests.unit.families.samples import GOOD

ANSWERS = [name for name, family in FAMILIES.items() if family.about == "TARGET" and not family.own_target]


@pytest.mark.parametrize("family", ANSWERS)
def test_an_answer_goes_to_the_owner_of_its_target(family: str) -> None:
    """No group learns of it, and no agency but the one whose subject it is about."""
    message = GOOD[family]()
    assert message.correlation.target is not None
    assert message.audience == Audience(agencies=(message.correlation.target.partition("/")[0],))


def test_nobody_is_addressed_where_there_is_no_other_owner() -> None:
    """No target, a malformed one and one's own give an empty audience, not an exception: the checks tell what is wrong."""
    assert owner_only("SG-CUSTOMS/1", "AE-CUSTOMS/1") == Audience(agencies=("SG-CUSTOMS",))
    for target in (None, "", "nothing", "AE-CUSTOMS/2"):
        assert owner_only(target, "AE-CUSTOMS/1") == Audience()


def test_links_that_are_given_stay() -> None:
    """The target is put beside the case and the cause that the caller gives; an audience that is given is kept."""
    message = feedback(
        subject="AE-CUSTOMS/2026/F-1",
        target="SG-CUSTOMS/2026/000123",
        target_revision=3,
        core={"result": "NO_MATCH"},
        audience=Audience(agencies=("SG-CUSTOMS", "AE-POLICE")),
        correlation=Correlation(causation=bytes(16), case_ref="Op 12"),
    )
    assert message.correlation == Correlation(bytes(16), "SG-CUSTOMS/2026/000123", 3, "Op 12")
    assert message.audience.agencies == ("SG-CUSTOMS", "AE-POLICE")


def test_the_owners_own_record_names_its_audience_itself() -> None:
    """A correction of one's own subject has no other owner to go to."""
    message = correction(
        subject="SG-CUSTOMS/2026/C-1",
        target="SG-CUSTOMS/2026/000123",
        target_revision=1,
        core={"correction_kind": "OWNER_RECORD", "paths": ["core.mrn"], "reason_code": "TYPING_ERROR", "corrected_in": 2},
        changes={"changes": [{"path": "core.mrn", "old_digest": bytes(32), "new_value": None}]},
    )
    assert message.audience == Audience()


def test_defaults_that_the_domain_gives() -> None:
    """Retention classes of domain dictionary 3.4, purposes of notices and write-offs, urgency of recalls."""
    assert {family: GOOD[family]().retention for family in ("ack", "entity_watch", "alert")} == {
        "ack": "R30D", "entity_watch": "R1Y", "alert": "R5Y",
    }  # fmt: skip
    assert GOOD["licence_usage"]().purposes == ("LICENSING",)
    assert GOOD["licit_movement"]().purposes == ("PROLIF_PREVENTION",)
    assert GOOD["recall"]().urgency == "IMMEDIATE"
