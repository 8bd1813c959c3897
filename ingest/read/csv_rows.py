"""Tables of comma- or tab-separated values (.csv, .tsv): every row says on its own what its columns are.

    term;meaning                        row 1: 'term: FSDP; meaning: shards the parameters'
    FSDP;shards the parameters

Rows are counted from 1 without the header, as a person does who opens the file beside it. A first row with
numbers, gaps or repetitions is no header: then it is row 1, and columns are called 'column 1' and on.
"""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import chain, islice
from pathlib import Path

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.compose import Draft, fit, one_line
from ingest.read.text import decode

_ROWS = 50_000
"""Most rows that are read."""
_COLUMNS = 1_000
"""Most columns of a row that is read: more is data, not notes."""
_LONGEST = 5_000_000
"""Most characters of a line that is read."""
_LONGEST_FIELD = 10_000_000
"""Most characters of a field, which may go over many lines."""
_TOO_LONG = "\0"
"""Stands for a line that is too long; no decoded text has it."""
_SAMPLE = 50
"""Rows from which the delimiter is told."""
_NUMBER = re.compile(r"[-+]?[\d.,\s]*\d\s*%?")
_DECLARED = re.compile(r"sep=(.)\n")
"""How Excel names the delimiter, before the first row."""

csv.field_size_limit(_LONGEST_FIELD)  # the default, 128 KiB, makes a long field an error


def read(path: Path, data: bytes) -> Document:
    """Read a table; each row is a block that is found by its number.

    Raises:
        Unreadable: It has a header and no rows, or a field has no end.
    """
    text, remark = decode(data)
    text = fit(text)
    declared = _DECLARED.match(text)
    text = text[declared.end() :] if declared else text
    delimiter = "\t" if path.suffix.lower() == ".tsv" else declared[1] if declared else _delimiter(text)
    rows = _rows(text, delimiter)
    first = next(rows, [])
    named = bool(first) and _is_header(first)
    columns = first if named else []
    draft = Draft()
    count, wide, widest = 0, 0, 0
    for row in islice(rows if named else chain([first], rows), _ROWS):
        count += 1
        if row == [_TOO_LONG]:
            draft.lost.append(f"row {count}: its line has more than {_LONGEST:,} characters: data, not notes")
        elif len(row) <= _COLUMNS:
            _lay(draft, count, columns, row)
        else:
            wide, widest = wide + 1, max(widest, len(row))
    if named and not count:
        raise Unreadable("empty", "the table has a header and no rows")
    if wide:
        rows_of = "1 row has" if wide == 1 else f"{wide} rows have"
        draft.lost.append(f"{rows_of} up to {widest} columns: {_COLUMNS} columns are the most that are read")
    more = sum(1 for _ in rows)
    if more:
        draft.lost.append(f"rows {count + 1} to {count + more}: {_ROWS} rows are the most that are read")
    return draft.document(remark=remark)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the rows that are not empty, their fields on one line each.

    Raises:
        Unreadable: A field has no end.
    """
    lines = (line if len(line) <= _LONGEST else _TOO_LONG for line in StringIO(text, newline=""))
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for row in rows:
            fields = [one_line(field) for field in row]
            if any(fields):
                yield fields
    except csv.Error as error:
        told = f"line {rows.line_num}: a field of more than {_LONGEST_FIELD:,} characters; is its quote closed?"
        raise Unreadable("failed", told) from error


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the first rows into the most columns, and all of them alike."""

    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in islice(_rows(text[: 1 << 20], delimiter), _SAMPLE)]
        common = max(set(widths), key=widths.count, default=1)
        return (widths.count(common) / len(widths) if common > 1 else 0, common)

    return max(",;\t|", key=evenness)


def _is_header(row: list[str]) -> bool:
    return (
        row != [_TOO_LONG] and len(set(row)) == len(row) and all(cell and not _NUMBER.fullmatch(cell) for cell in row)
    )


def _lay(draft: Draft, number: int, columns: list[str], row: list[str]) -> None:
    names = [*columns, *(f"column {at}" for at in range(len(columns) + 1, len(row) + 1))]
    filled = "; ".join(f"{name}: {value}" for name, value in zip(names, row, strict=False) if value)
    draft.add(filled, place=f"row {number}")
