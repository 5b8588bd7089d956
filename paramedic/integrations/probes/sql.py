"""A query of a database that is a target: one number, read only."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from paramedic.errors import PermanentError
from paramedic.kinds import number_question
from paramedic.kinds.number_question import QUERY
from paramedic.kinds.probing import Question, Seen, Written

CHECK = ("sql",)
ABOUT = (
    "the number that a `query` of the target's database gives, by a session that cannot write; no row and NULL are unknown "
    "([checks.md](checks.md#sql))"
)
METRICS = number_question.METRICS
OPTIONS = (QUERY,)
NEEDS = {"sessions": "database"}
BY_TRANSPORT = True

#: What reads; that it writes nothing is the session's to hold.
_READS = re.compile(r"\s*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)


def subject(written: Written) -> str:
    """The query. Raises ValueError where there is none."""
    return number_question.needs_a_query(written)


def misfits(written: Written) -> Iterator[tuple[str, str]]:
    """A query that is not one statement that reads, with the words for it."""
    query = str(written.options.get("query", "SELECT"))
    if not _READS.match(query):
        yield "query", "one SELECT (or WITH, VALUES, TABLE) that gives a number"
    if ";" in query.rstrip().removesuffix(";"):
        yield "query", "it is one statement: no `;` stands in it, in a text neither (write chr(59))"


def look(question: Question) -> Seen:
    """Ask once. Raises TemporaryError or PermanentError where the server does not answer, or gives no number."""
    address = cast("Any", question.target.words).connection
    with question.transport().database(address, question.deadline) as database:
        # a percent sign would begin a parameter
        rows = database.rows(question.options["query"].replace("%", "%%"), deadline=question.deadline)
    return number_question.seen(_numbers(rows))


def _numbers(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Each row's one number, with its texts as the name. Raises PermanentError where a row has none, or several."""
    for row in rows:
        texts = [str(value) for value in row.values() if isinstance(value, str)]
        others = [value for value in row.values() if not isinstance(value, str)]
        if len(others) != 1 or not isinstance(others[0], int | float | Decimal | None):
            raise PermanentError(
                f"the query gives the columns {', '.join(row)}: ask for one number, and texts that name it"
            )
        yield " ".join(texts), math.nan if others[0] is None else float(others[0])
