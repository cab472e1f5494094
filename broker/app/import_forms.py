"""What an import says of its rows, as JSON values, and who would see its messages: the same on the command line and over HTTP."""

from __future__ import annotations

from collections import Counter
from typing import Any

from broker.app.importing import Checked, Imported
from broker.bulk.rows import Remark
from broker.errors import RefusedError
from broker.service.publisher import Publisher


def remark_json(remark: Remark) -> dict[str, Any]:
    """What is wrong with a row, as ``--json`` shows it."""
    return {
        "severity": remark.severity, "code": remark.code, "line": remark.line, "column": remark.column or None, "path": remark.path,
        "reason": remark.reason, "advice": remark.advice,
    }  # fmt: skip


def row_json(checked: Checked, outcome: str, done: Imported | None = None) -> dict[str, Any]:
    """What became of a row, as ``--json`` shows it."""
    answer = done.receipt if done is not None and done.outcome == "quarantined" else None
    return {
        "line": checked.line, "rows": checked.lines, "subject": checked.subject, "revision": checked.revision, "outcome": outcome,
        "message_id": done.handle.message_id if done is not None and done.handle is not None else None,
        "code": answer.code if answer else next((each.code for each in checked.remarks if each.severity == "REJECT"), None),
        "reason": answer.reason if answer else "", "advice": answer.advice if answer else "",
        "findings": [remark_json(each) for each in checked.remarks],
    }  # fmt: skip


class WhoSees:
    """Who would be given what of the messages of a table, in counts: by the rules of now, without sending anything."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.agencies: dict[str, Counter[str]] = {}
        self.denied: Counter[str] = Counter()

    def take(self, checked: Checked) -> str:
        """Ask for one message that could be sent; the code of its refusal where the rules do not let it be published, else empty."""
        if checked.message is None:
            return ""
        try:
            verdict, distribution = self._publisher.preview(checked.message)
        except RefusedError as error:
            return error.refusal.code
        if not verdict.allowed:
            return "MAY_NOT_PUBLISH"
        for release in distribution.releases:
            counts = self.agencies.setdefault(release.agency, Counter())
            counts["messages"] += 1
            counts.update(f"gets {name}" for name, _ in release.given)
            counts.update(f"without {name}" for name, _ in release.withheld)
        self.denied.update(each.agency for each in distribution.denials)
        return ""

    def json(self) -> dict[str, Any]:
        """Each agency with the number of messages, and of each section given and withheld; who is given nothing, how often."""
        given = {agency: dict(sorted(counts.items())) for agency, counts in sorted(self.agencies.items())}
        return {"recipients": given, "denied": dict(sorted(self.denied.items()))}
