"""Apache Avro's own compatibility checker (Java's, ported): what our rules may be stricter than, and never looser."""

from __future__ import annotations

import json
import warnings
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse


def resolves(*, reader: Any, writer: Any) -> bool:
    """Whether the oracle says that ``reader`` reads everything that ``writer`` writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of logical types that it does not know
        result = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    return result.compatibility is SchemaCompatibilityType.compatible


def side_by_side(old: Any, new: Any) -> bool:
    """Whether the oracle lets both versions read each other."""
    return resolves(reader=new, writer=old) and resolves(reader=old, writer=new)
