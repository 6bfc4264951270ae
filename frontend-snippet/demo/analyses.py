"""The host's own table: which analyses there are, whose they are, and which notebook each one is."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .problems import Problem

TABLES = """
CREATE TABLE IF NOT EXISTS analyses (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, notebook_id TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL, deleted TEXT
);
CREATE TABLE IF NOT EXISTS told (
    event TEXT PRIMARY KEY, notebook_id TEXT NOT NULL, type TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS saves (notebook_id TEXT PRIMARY KEY, version INTEGER NOT NULL, at TEXT NOT NULL);
"""
COLUMNS = "id, title, notebook_id, created, deleted, version, at"
FROM = "analyses LEFT JOIN saves USING (notebook_id)"


@dataclass(frozen=True)
class Analysis:
    id: str
    title: str
    notebook_id: str
    created: str
    deleted: str | None = None
    version: int | None = None
    saved: str | None = None
    """Which version Inset stored last, and when, as far as its webhooks have told."""

    @property
    def created_on(self) -> str:
        return _day(self.created)

    @property
    def saved_on(self) -> str:
        return _day(self.saved or "")


class AnalysisNotFound(Problem):
    """There is no such analysis, or it is somebody else's."""

    def __init__(self) -> None:
        super().__init__("There is no such analysis", "It may have been deleted.", status=404)


class Analyses:
    """Every question names the owner. The calls are not async: on a local file they take microseconds."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of(self, owner: str, *, deleted: bool = False) -> list[Analysis]:
        """The newest first; the deleted ones only if asked for."""
        which = "NOT NULL ORDER BY deleted DESC LIMIT 10" if deleted else "NULL ORDER BY created DESC"
        rows = self._db.execute(f"SELECT {COLUMNS} FROM {FROM} WHERE owner = ? AND deleted IS {which}", (owner,))
        return [Analysis(*row) for row in rows]

    def get(self, owner: str, id: str, *, deleted: bool = False) -> Analysis:
        """One analysis, and with `deleted` one that was deleted."""
        which = "NOT NULL" if deleted else "NULL"
        query = f"SELECT {COLUMNS} FROM {FROM} WHERE owner = ? AND id = ? AND deleted IS {which}"
        row = self._db.execute(query, (owner, id)).fetchone()
        if row is None:
            raise AnalysisNotFound
        return Analysis(*row)

    def add(self, owner: str, *, id: str, title: str, notebook_id: str) -> None:
        self._write(
            "INSERT INTO analyses (id, owner, title, notebook_id, created) VALUES (?, ?, ?, ?, ?)",
            (id, owner, title, notebook_id, _now()),
        )

    def rename(self, analysis: Analysis, title: str) -> None:
        self._write("UPDATE analyses SET title = ? WHERE id = ?", (title, analysis.id))

    def delete(self, analysis: Analysis) -> None:
        self._write("UPDATE analyses SET deleted = ? WHERE id = ?", (_now(), analysis.id))

    def undelete(self, analysis: Analysis) -> None:
        self._write("UPDATE analyses SET deleted = NULL WHERE id = ?", (analysis.id,))

    def note_save(self, notebook_id: str, *, version: int, at: str) -> None:
        """Note the newest version of a notebook. Told twice, or late, it changes nothing."""
        self._write(
            "INSERT INTO saves VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, at = excluded.at "
            "WHERE excluded.version > saves.version",
            (notebook_id, version, at),
        )

    def note_event(self, event: str, notebook_id: str, *, type: str, at: str, what: str) -> None:
        """Note what a webhook has told. Told twice, it is noted once."""
        self._write("INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?, ?)", (event, notebook_id, type, at, what))

    def told_of(self, analysis: Analysis) -> list[dict[str, str]]:
        """Give what webhooks have told of an analysis's notebook lately, the newest first."""
        query = "SELECT type, at, what FROM told WHERE notebook_id = ? ORDER BY at DESC LIMIT 20"
        rows = self._db.execute(query, (analysis.notebook_id,))
        return [{"type": type, "at": at, "what": what} for type, at, what in rows]

    def _write(self, statement: str, values: tuple[str | int, ...]) -> None:
        with self._db:
            self._db.execute(statement, values)


@contextmanager
def open_analyses(folder: Path) -> Iterator[Analyses]:
    folder.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(folder / "fieldnotes.sqlite3")
    try:
        db.executescript(TABLES)
        yield Analyses(db)
    finally:
        db.close()


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%d %B %Y}".lstrip("0")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
