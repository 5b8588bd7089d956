"""Column types of the store's tables: moments, text from outside, row numbers; and partial indexes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Index, Integer, MetaData, Text, TypeDecorator, text

from paramedic.audit.chain import whole
from paramedic.text.redaction import Redacted, redact

metadata = MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since the epoch: the same order and precision on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base's form
        """To the database. Naive datetimes raise TypeError."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))


class Words(TypeDecorator[str]):
    """Text from outside, redacted and storable in every database. Compared the same way."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        if value is None:
            return None
        clean: str = whole(value if isinstance(value, Redacted) else redact(value))
        return clean


#: SQLite counts up only a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that meet the condition; the migrations make it so on both databases.

    The condition is also in its `info`: to give it in PostgreSQL's own keyword would load that dialect into every process.
    """
    return Index(name, *columns, unique=unique, sqlite_where=text(where), info={"where": where})
