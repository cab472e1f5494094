"""The JSON form of a message, as ``broker publish FILE`` reads it. The JSON is untrusted.

::

    {"family": "alert", "subject": "SG-CUSTOMS/2026/000123", "revision": 1,
     "header": {"urgency": "IMMEDIATE", "tlp": "AMBER", "audience": {"agencies": ["AE-CUSTOMS"]}, "valid_until": "2026-12-20T00:00:00Z"},
     "sections": {"core": {"...": "..."}}}

Only shape is judged here (BAD_FIELD, and BAD_LABELS below ``header``); :mod:`broker.families.labels` judges what the labels say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from broker import ids
from broker.errors import Refusal
from broker.families.message import Audience, Message, Sections
from broker.values import Correlation, Evaluation

ReadSection = Callable[[str, str, object], "Mapping[str, Any] | Refusal"]
"""Turns a section from its JSON form: family, section, JSON value to record."""
WriteSection = Callable[[str, str, "Mapping[str, Any]"], object]
"""The way back."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER: Final = (
    "urgency", "handling", "handling_caveat", "tlp", "pap", "evaluation", "purposes", "legal_basis", "onward", "evidential_use",
    "retention", "valid_from", "valid_until", "embargo_until", "language", "correlation", "audience",
)  # fmt: skip
_TIMES: Final = ("valid_from", "valid_until", "embargo_until")
_LIST_LIMIT: Final = 1000
"""Longest list in a header: far above any exchange's membership, far below what would hurt."""


class _ShapeError(Exception):
    """Ends the reading of one message; never leaves this module."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path, self.reason = path, reason


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[:60]


def _object(value: object, path: str, keys: tuple[str, ...] | None) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _ShapeError(path, "give a JSON object here")
    for key in cast("dict[object, object]", value):
        if not isinstance(key, str) or (keys is not None and key not in keys):
            raise _ShapeError(f"{path}.{_shown(str(key))}".lstrip("."), f"there is no such key; use {', '.join(keys or ('text keys',))}")
    return cast("dict[str, object]", value)


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _ShapeError(path, "give text in quotes")
    return value


def _maybe_text(value: object, path: str) -> str | None:
    return None if value is None else _text(value, path)


def _texts(value: object, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _ShapeError(path, "give a list of texts")
    listed = cast("list[object]", value)
    if len(listed) > _LIST_LIMIT:
        raise _ShapeError(path, f"the list has more than {_LIST_LIMIT} entries")
    return tuple(_text(entry, f"{path}[{number}]") for number, entry in enumerate(listed))


def _number(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise _ShapeError(path, "give a whole number from 1 to 2147483647")
    return value


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise _ShapeError(path, "give true or false")
    return value


def _time(value: object, path: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return (datetime.fromisoformat(value) - _EPOCH) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):  # 30 February, or an offset that leaves year 1 to 9999
            pass
    raise _ShapeError(path, "give the time as ISO 8601 with seconds and zone, such as 2026-12-20T00:00:00Z")


def _evaluation(value: object, path: str) -> Evaluation | None:
    if value is None:
        return None
    grades = _object(value, path, ("source", "information"))
    return Evaluation(*(_text(grades.get(key), f"{path}.{key}") for key in ("source", "information")))


def _correlation(value: object, path: str) -> Correlation:
    links = _object(value, path, ("causation", "target", "target_revision", "case_ref"))
    causation = _maybe_text(links.get("causation"), f"{path}.causation")
    if causation is not None and not _UUID.fullmatch(causation):
        raise _ShapeError(f"{path}.causation", "give the message id as a UUID: 8-4-4-4-12 hexadecimal digits")
    revision = links.get("target_revision")
    return Correlation(
        causation=None if causation is None else bytes.fromhex(causation.replace("-", "")),
        target=_maybe_text(links.get("target"), f"{path}.target"),
        target_revision=None if revision is None else _number(revision, f"{path}.target_revision"),
        case_ref=_maybe_text(links.get("case_ref"), f"{path}.case_ref"),
    )


def _audience(value: object, path: str) -> Audience:
    groups = _object(value, path, ("agencies", "communities", "countries"))
    return Audience(*(_texts(groups.get(key, []), f"{path}.{key}") for key in ("agencies", "communities", "countries")))


_READERS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "handling_caveat": _maybe_text, "pap": _maybe_text, "language": _maybe_text, "evaluation": _evaluation, "purposes": _texts,
    "evidential_use": _flag, "correlation": _correlation, "audience": _audience, **dict.fromkeys(_TIMES, _time),
}  # fmt: skip
"""How each header key is read; text where not named."""


def _labels(header: dict[str, object]) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for key, value in header.items():
        name = f"{key}_ms" if key in _TIMES else key
        labels[name] = _READERS.get(key, _text)(value, f"header.{key}")
    if labels.get("tlp") == "AMBER+STRICT":
        labels["tlp"] = "AMBER_STRICT"
    return labels


def message_from_json(value: object, read_section: ReadSection | None = None) -> Message | Refusal:
    """Read a message from parsed JSON.

    With ``read_section`` the sections become records as the codec takes them; without, they stay in their JSON form. Returns a
    Refusal with code BAD_LABELS (below ``header``) or BAD_FIELD (elsewhere, and what ``read_section`` refuses) and a path.
    """
    try:
        whole = _object(value, "", ("family", "subject", "revision", "header", "sections"))
        labels = _labels(_object(whole.get("header", {}), "header", _HEADER))
        given = _object(whole.get("sections"), "sections", None)
        sections: dict[str, Mapping[str, Any]] = {name: _object(part, f"sections.{_shown(name)}", None) for name, part in given.items()}
        family, subject = _text(whole.get("family"), "family"), _text(whole.get("subject"), "subject")
        labels["revision"] = _number(whole.get("revision", 1), "revision")
    except _ShapeError as error:
        inside = error.path == "header" or error.path.startswith("header.")
        return Refusal("BAD_LABELS" if inside else "BAD_FIELD", error.reason, error.path)
    if read_section is not None:
        for name, part in sections.items():
            record = read_section(family, name, part)
            if isinstance(record, Refusal):
                return record
            sections[name] = record
    return Message(family=family, subject=subject, sections=sections, **labels)


def _time_text(value: int | None) -> str | None:
    if value is None:
        return None
    return (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_to_json(message: Message, write_section: WriteSection | None = None) -> dict[str, object]:
    """The JSON form: reading it again gives an equal message. What is null or empty by default is left out.

    Without ``write_section`` the sections are taken to be in JSON form already.
    """
    links = message.correlation
    correlation = {
        "causation": None if links.causation is None else ids.uuid_text(links.causation),
        "target": links.target,
        "target_revision": links.target_revision,
        "case_ref": links.case_ref,
    }
    grades = message.evaluation
    header: dict[str, object] = {
        "urgency": message.urgency,
        "handling": message.handling,
        "handling_caveat": message.handling_caveat,
        "tlp": message.tlp.replace("_", "+"),
        "pap": message.pap,
        "evaluation": None if grades is None else {"source": grades.source, "information": grades.information},
        "purposes": list(message.purposes),
        "legal_basis": message.legal_basis,
        "onward": message.onward,
        "evidential_use": message.evidential_use,
        "retention": message.retention,
        "valid_from": _time_text(message.valid_from_ms),
        "valid_until": _time_text(message.valid_until_ms),
        "embargo_until": _time_text(message.embargo_until_ms),
        "language": message.language,
        "correlation": {key: value for key, value in correlation.items() if value is not None} or None,
        "audience": {key: value for key, value in message.audience.record().items() if value},
    }
    return {
        "family": message.family,
        "subject": message.subject,
        "revision": message.revision,
        "header": {key: value for key, value in header.items() if value is not None},
        "sections": _written(message.family, message.sections, write_section),
    }


def _written(family: str, sections: Sections, write_section: WriteSection | None) -> dict[str, object]:
    if write_section is None:
        return dict(sections)
    return {name: write_section(family, name, record) for name, record in sections.items()}
