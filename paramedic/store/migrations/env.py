"""Alembic's entry: it runs on the connection, and in the transaction, that `migrate` opened."""

from alembic import context

from paramedic.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=False,
)
context.run_migrations()
