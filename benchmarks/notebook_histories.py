"""Notebooks of any size, and histories of them: the edit mix is an assumption, and is written down in `_edit`."""

import base64
import copy
import random
from typing import Any

import nbformat

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def canonical(notebook: Any) -> bytes:
    """Write it as Jupyter does."""
    return (nbformat.v4.writes_json(copy.deepcopy(notebook)) + "\n").encode()


def synthetic(size: int) -> Any:
    """Make a notebook of about so many bytes: a third of its code cells shows an image, a third prints."""
    chance, made, written = random.Random(size), nbformat.v4.new_notebook(), 0
    words = ["".join(chance.choices(_LETTERS, k=chance.randint(2, 9))) for _ in range(800)]
    while written < size:
        source = "\n".join(" ".join(chance.choices(words, k=8)) for _ in range(chance.randint(3, 15)))
        cell = nbformat.v4.new_code_cell(source, id=f"c{len(made.cells):06}", execution_count=len(made.cells))
        kind = chance.random()
        if kind < 0.3:
            image = chance.randbytes(chance.randint(2_000, max(4_000, min(30_000, size // 10))))
            cell.outputs = [shown(image)]
        elif kind < 0.6:
            lines = [f"{chance.random():.5f} {chance.choice(words)}\n" for _ in range(chance.randint(2, 80))]
            cell.outputs = [nbformat.v4.new_output("stream", text="".join(lines))]
        made.cells.append(cell)
        written += len(str(cell))
    return made


def shown(image: bytes) -> Any:
    """Make an output that shows an image."""
    data = {"image/png": base64.b64encode(image).decode(), "text/plain": "<Figure>"}
    return nbformat.v4.new_output("display_data", data=data)


def history(notebook: Any, versions: int, *, new_images: float) -> list[bytes]:
    """Edit it again and again. Gives the bytes of each version.

    `new_images` is the part of those images that are other ones from some byte on when their cell is run again.
    """
    chance, states = random.Random(versions), [canonical(notebook)]
    while len(states) < versions:
        notebook = copy.deepcopy(notebook)
        _edit(notebook, chance, new_images)
        if (state := canonical(notebook)) != states[-1]:
            states.append(state)
    return states


def _edit(notebook: Any, chance: random.Random, new_images: float) -> None:
    """60 % typing, 25 % one cell run again, 10 % all of them, 5 % a cell added."""
    kind = chance.random()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if kind < 0.6:
        cell = chance.choice(notebook.cells)
        at = chance.randint(0, len(cell.source))
        typed = "".join(chance.choices(_LETTERS, k=chance.randint(1, 40)))
        cell.source = cell.source[:at] + typed + cell.source[at:]
    elif kind < 0.95:
        for cell in code if kind >= 0.85 else [chance.choice(code)]:
            _run_again(cell, chance, new_images)
    else:
        new = nbformat.v4.new_code_cell(f"new = {chance.random()}", id=f"n{chance.randrange(10**9)}")
        if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
            del new["id"]  # which cells have not had before
        notebook.cells.insert(chance.randint(0, len(notebook.cells)), new)


def _run_again(cell: Any, chance: random.Random, new_images: float) -> None:
    """Change one line of what it prints, and some of the images."""
    cell.execution_count = (cell.execution_count or 0) + chance.randint(1, 40)
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = cell.execution_count
        if output.output_type == "stream":
            lines = output.text.split("\n")
            lines[chance.randrange(len(lines))] = str(chance.random())
            output.text = "\n".join(lines)
        if "image/png" in output.get("data", {}) and chance.random() < new_images:
            image = base64.b64decode(output.data["image/png"])
            same = chance.randrange(len(image))
            image = image[:same] + chance.randbytes(len(image) - same)
            output.data["image/png"] = base64.b64encode(image).decode() + "\n"
