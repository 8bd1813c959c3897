"""Jupyter notebooks (.ipynb, formats 3 and 4): cells, found by their number.

    {"nbformat": 4, "cells": [{"cell_type": "markdown", "source": ["# FSDP\\n", "Shards *parameters* …"]}, …]}

Headings of Markdown cells stand above the cells that follow. Of what code printed, the beginning is kept as a
block of its own; images are not.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.compose import Draft, fit
from ingest.read.markdown import read_markdown
from ingest.read.text import decode

_OUTPUT = 1000
"""Most code points kept of what a cell printed."""
_IMAGE = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/=]+")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)(?:\s+#+)?")
_REPR = re.compile(r"<[^<>\n]*>")
"""What an object without a text of its own prints: '<Figure size 640x480 with 1 Axes>'."""


def read(path: Path, data: bytes) -> Document:
    """Read a notebook; each block is found by its cell, counted from 1 over all cells."""
    text, remark = decode(data)
    try:
        notebook = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise Unreadable("failed", f"not a notebook: no JSON ({str(error)[:80]})") from error
    cells = _cells(notebook)
    if cells is None:
        raise Unreadable("failed", "not a notebook: the JSON has no cells")
    draft = Draft()
    for number, cell in enumerate(cells, 1):
        draft.place = f"cell {number}"
        if isinstance(cell, dict):
            _cell(cell, draft)
        else:
            draft.lost.append(f"{draft.place}: not a cell")
    return draft.document(title=draft.first, remark=remark)


def _cells(notebook: Any) -> list[Any] | None:
    """Return the cells of either format, None where there is no list of them."""
    if not isinstance(notebook, dict):
        return None
    sheets = notebook.get("worksheets")
    if isinstance(sheets, list):  # format 3
        cells = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        return [cell for some in cells if isinstance(some, list) for cell in some]
    found = notebook.get("cells")
    return found if isinstance(found, list) else None


def _cell(cell: dict[str, Any], draft: Draft) -> None:
    source = _IMAGE.sub("data:", _joined(cell.get("source", cell.get("input"))))
    kind = cell.get("cell_type")
    if kind == "markdown":
        _markdown(source, draft)
    elif kind == "heading":
        level = cell.get("level")
        draft.head(level if isinstance(level, int) and 1 <= level <= 6 else 1, source)
    elif kind == "code":
        draft.add(source, "code")
        outputs = cell.get("outputs")
        printed = "\n".join(_printed(outputs)) if isinstance(outputs, list) else ""
        if len(printed) > _OUTPUT:
            printed = f"{printed[:_OUTPUT].rstrip()} …"
        draft.add(f"Output:\n{printed}" if printed else "", "code")
    else:
        draft.add(source, "meta" if source.startswith("---\n") else "text")


def _printed(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        if not isinstance(output, dict):
            continue
        rich = output.get("data", output)
        plain = rich.get("text/plain", rich.get("text")) if isinstance(rich, dict) else None
        if "ename" in output:
            plain = f"{_joined(output['ename'])}: {_joined(output.get('evalue'))}"
        text = _ANSI.sub("", _joined(plain)).strip()
        if text and not _REPR.fullmatch(text):
            yield text


def _joined(value: Any) -> str:
    """Return a text that a notebook holds as one string or as a list of lines.

    A line that was written over, as by a progress bar, is kept as it was last seen.
    """
    if isinstance(value, list):
        value = "".join(line for line in value if isinstance(line, str))
    lines = value.replace("\r\n", "\n").split("\n") if isinstance(value, str) else []
    return fit("\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines))


def _markdown(source: str, draft: Draft) -> None:
    """Lay a Markdown cell; its headings, which stand between its blocks, stay in force after it."""
    end = 0
    # The last word keeps a cell of headings alone from being taken for a block.
    for block in read_markdown(f"{source}\n\n.").blocks:
        for level, heading in _headings(source[end : block.start]):
            draft.head(level, read_markdown(f"# {heading}").title)
        end = min(block.end, len(source))
        draft.add(source[block.start : end], block.kind)


def _headings(between: str) -> Iterator[tuple[int, str]]:
    """Yield level and words of the headings in a text that holds nothing else."""
    above: list[str] = []
    for line in map(str.strip, between.split("\n")):
        if marked := _HEADING.fullmatch(line):
            yield len(marked[1]), marked[2]
        elif above and set(line) in ({"="}, {"-"}):
            yield 1 if "=" in line else 2, " ".join(above)
            above = []
        else:
            above = [*above, line] if line else []
