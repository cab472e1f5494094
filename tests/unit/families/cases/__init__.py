"""One change of a good message for each side of each conditional rule, by family: tables that tests and documents read."""

from tests.unit.families.cases import answers, reports, shipments

REFUSED = [*shipments.REFUSED, *reports.REFUSED, *answers.REFUSED]
"""Family, changes, and the path at which BAD_FIELD refuses them."""
FOUND = [*shipments.FOUND, *reports.FOUND, *answers.FOUND]
"""Family, changes, and code and path of each finding that they give."""
TIMED = [*shipments.TIMED, *reports.TIMED, *answers.TIMED]
"""Family, changes, and the path at which the time of issue makes BAD_FIELD refuse them."""
IN_TIME = [*reports.IN_TIME, *answers.IN_TIME]
"""Family and changes that the time of issue allows."""
MARKED, UNMARKED = answers.MARKED, answers.UNMARKED
"""Whole messages that sections and header together make bad, with code and path, and such as are good."""


def identity(number: int, case: tuple[object, ...]) -> str:
    """The id of a case as a test parameter: family, path and its place in the table."""
    last = case[-1]
    return f"{case[0]}-{last}-{number}" if isinstance(last, str) else f"{case[0]}-{number}"
