"""Do the quotes of a question set still stand in the notes? Notes are edited; the offsets follow, the rest is named.

    python -m eval.anchor NOTES CASES [--write]

A quote that stands once in its note, though elsewhere than before, has only moved: `--write` corrects its `start` and
`end` (code points of the text that `ask text` prints). A quote that is gone, or stands there twice, is for a person:
the question is named, and exit status is 1 until it is revised.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.cases import read_lines, write_lines
from eval.command import one_line, parser_of
from ingest.read import read

Line = dict[str, Any]


def texts_of(notes: Path, lines: list[Line]) -> dict[str, str]:
    """Return the text of each note that the lines quote, as it is stored; a note that is gone is left out."""
    paths = {passage["path"] for line in lines for passage in line.get("gold_passages") or ()}
    files = {path: notes / path for path in sorted(paths)}
    return {path: read(file, file.read_bytes()).text for path, file in files.items() if file.is_file()}


def anchor(line: Line, texts: Mapping[str, str]) -> tuple[Line, list[str]]:
    """Return the case with its quotes where they stand now, and what keeps it from being right.

    Args:
        line: A case; those of its `gold_passages` that can't be found stay as they are.
        texts: By path.
    """
    passages, wrong = [], []
    for passage in line.get("gold_passages") or ():
        path, quote = passage["path"], passage["quote"]
        count = texts[path].count(quote) if path in texts else 0
        if count == 1:
            start = texts[path].index(quote)
            passage = passage | {"start": start, "end": start + len(quote)}
        else:
            says = f"says {count} times" if count else "no longer says" if path in texts else "is gone, which said"
            wrong.append(f"{line['id']}: {path} {says} {quote[:80]!r}; revise the question or its quote")
        passages.append(passage)
    return line | ({"gold_passages": passages} if passages else {}), wrong


def main() -> None:
    """Print how many quotes moved and which questions must be revised; correct the file if that is asked for."""
    parser = parser_of("anchor", __doc__)
    parser.add_argument("notes", type=Path)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--write", action="store_true", help="correct the file")
    given = parser.parse_args()
    cases = given.cases
    lines = [line for _, line in read_lines(cases)]
    texts = texts_of(given.notes, lines)
    found = [anchor(line, texts) for line in lines]
    moved = sum(new != old for (new, _), old in zip(found, lines, strict=True))
    if moved and given.write:
        write_lines(cases, [new for new, _ in found])
    print(f"{len(lines)} questions; the quotes of {moved} moved")
    if wrong := [message for _, messages in found for message in messages]:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    with one_line():
        main()
