"""Every table says once what becomes of its rows in a restore, with age, and when the clock goes back."""

from collections import Counter

from sqlalchemy import inspect

from paramedic.store import Store
from paramedic.store.table_facts import Unchanged, declared
from paramedic.store.tables import Moment, metadata

#: Alembic's own: which schema it is.
_REVISION = "alembic_version"


def test_every_table_of_the_store_has_exactly_one_declaration(store: Store) -> None:
    with store.read() as tx:
        tables = set(inspect(tx.conn).get_table_names()) - {_REVISION}
    counted = Counter(facts.table.name for facts in declared())
    assert {name: count for name, count in counted.items() if count != 1} == {}
    assert set(counted) == tables == set(metadata.tables)


def test_a_time_of_a_declaration_is_a_moment_of_its_own_table() -> None:
    for facts in declared():
        for column, _ in facts.times:
            assert column.table is facts.table
            assert isinstance(column.type, Moment)


def test_what_is_left_unchanged_says_why() -> None:
    for facts in declared():
        for fate in (facts.restore, facts.retention):
            assert not isinstance(fate, Unchanged) or len(fate.because) > 10, facts.table.name
