"""What the API says about the difference of two versions: our own words, in cells."""

from typing import Literal

from pydantic import BaseModel, Field

Change = Literal["added", "removed", "changed", "moved"]


class DiffLine(BaseModel):
    """One line of a cell's source."""

    op: Literal["+", "-", " "] = Field(description="Added, removed, or there on both sides.")
    text: str = Field(description="Without its line break. Half a surrogate pair is written as an escape.")


class Hunk(BaseModel):
    """Lines that changed, with up to three around them that did not."""

    from_line: int = Field(description="The number of its first line in `from`'s cell, from 1 on.")
    to_line: int
    lines: list[DiffLine]


class CellChange(BaseModel):
    """One cell that is not as it was, or not where it was."""

    change: Change = Field(description="A cell that was `moved` may also have changed.")
    cell_id: str | None = Field(description="Null where the document gives its cells none.")
    cell_type: str
    from_index: int | None = Field(description="Its place among `from`'s cells, from 0 on; null if it was added.")
    to_index: int | None = Field(description="Its place among `to`'s cells; null if it was removed.")
    source: list[Hunk] = Field(description="How its source changed: all of it for an added or removed cell.")
    type_changed: bool
    outputs_changed: bool = Field(description="Execution counts do not count.")
    metadata_changed: bool = Field(description="Its metadata, its attachments, or anything else about it.")


class NotebookDiff(BaseModel):
    """How one version became another, in cells. What is equal in both is counted and not listed."""

    from_version: int
    from_sha256: str
    to_version: int
    to_sha256: str
    metadata_changed: bool = Field(description="The notebook's own metadata, or its nbformat.")
    cells: list[CellChange] = Field(description="In `to`'s order; a removed cell stands where it was.")
    unchanged: int = Field(description="How many cells are as they were, where they were.")
