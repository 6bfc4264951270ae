"""Three-way merges of notebooks, by cells."""

from inset.merging.notebooks import Unsettled, merge

__all__ = ["Unsettled", "merge"]
