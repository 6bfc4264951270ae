"""What all tables are."""

from sqlmodel import SQLModel


class Table(SQLModel, defer_build=True):
    """A table's row. Rows are not validated, so nothing is built for that at each start: it was a twentieth of it."""
