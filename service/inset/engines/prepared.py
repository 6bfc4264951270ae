"""Statements of SQLAlchemy's Core that are compiled once, and then are what a driver takes: a text and its values."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler

Processor = Callable[[Any], Any]
Given = Mapping[str, Any]


class Prepared:
    """A statement that is asked so often that to build it anew would take longer than to ask it."""

    def __init__(self, statement: Executable) -> None:
        """`statement` has all its values as parameters with names; an insert or update takes columns as they come."""
        self.statement = statement
        self._compiled: dict[tuple[Any, ...], _Compiled] = {}

    def on(self, dialect: Dialect, given: Given) -> "_Compiled":
        """Give the statement as a database's driver takes it, for parameters of these names."""
        known = (dialect.name, *given)
        found = self._compiled.get(known)
        if found is None:
            found = self._compiled[known] = _Compiled(self.statement, dialect, list(given))
        return found


class _Compiled:
    def __init__(self, statement: Executable, dialect: Dialect, names: list[str]) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect, column_keys=names))  # type: ignore[attr-defined]
        assert not compiled.insert_prefetch, "what a column's default would give has to be given"
        self._compiled = compiled
        self._lists = bool(compiled.post_compile_params)
        self.text = compiled.string
        positions: Sequence[str] | None = compiled.positiontup
        if compiled.literal_execute_params and not self._lists:
            # Values that are part of the text, and always the same: written out here, once.
            written = compiled._process_parameters_for_postcompile(compiled.construct_params(dict.fromkeys(names)))
            self.text, positions = written.statement, written.positiontup
        self._values = self._taken(positions or [], compiled._bind_processors)
        entries = compiled._result_columns
        # Named as in a result of SQLAlchemy's: by their labels.
        row: Any = namedtuple("Row", [entry.keyname for entry in entries], rename=True) if entries else None
        self._make = row and row._make
        processors = [entry.type._cached_result_processor(dialect, None) for entry in entries]
        self._results = [(place, process) for place, process in enumerate(processors) if process]

    def _taken(self, names: Iterable[str], processors: Mapping[str, Any]) -> list[tuple[str, Any, Processor | None]]:
        """Give where each position's value is from: a parameter's name, or what the statement itself says."""
        binds = self._compiled.binds
        taken = []
        for name in names:
            bind = binds.get(name)
            fixed = None if bind is None or bind.required else bind.effective_value
            taken.append((name if bind is None else bind.key, fixed, processors.get(name)))
        return taken

    def values(self, given: Given) -> list[Any]:
        """Give a statement's values in their order, as the driver takes them."""
        return [
            process(given.get(name, fixed)) if process else given.get(name, fixed)
            for name, fixed, process in self._values
        ]

    def bound(self, given: Given) -> tuple[str, list[Any]]:
        """Give the text and the values. Only a list of values, which has a place for each, makes a text of its own."""
        if not self._lists:
            return self.text, self.values(given)
        names = self._compiled.construct_params(dict(given))
        expanded = self._compiled._process_parameters_for_postcompile(names)
        values = {**names, **expanded.additional_parameters}
        processors: dict[str, Any] = {**self._compiled._bind_processors, **expanded.processors}
        return expanded.statement, [
            processors[name](values[name]) if name in processors else values[name]
            for name in expanded.positiontup or []
        ]

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """Give what a driver found, as rows whose columns have names and their types' values."""
        make, results = self._make, self._results
        if make is None:
            return []
        if not results:
            return [make(row) for row in found]
        made = []
        for row in found:
            values = list(row)
            for place, process in results:
                values[place] = process(values[place])
            made.append(make(values))
        return made
