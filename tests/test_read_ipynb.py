import json
from pathlib import Path
from typing import Any

import pytest

from ingest.read.ipynb import read
from tests.readings import damaged, headings, kinds, refusal, survives, told

NAME = Path("lab.ipynb")


def notebook(*cells: dict[str, Any]) -> bytes:
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode()


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source.splitlines(keepends=True)}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


LAB = notebook(
    markdown("# Attention `by hand`\n\nWith NumPy.\n\n## Scores\n\n- query\n- key\n"),
    code("scores = q @ k.T\nscores", {"output_type": "execute_result", "data": {"text/plain": ["array([1])"]}}),
    markdown("| a | b |\n| - | - |\n| 1 | 2 |\n\n### Masking\n"),
    code("print(1)", stream("1\n")),
)


def test_cells_are_found_by_their_number_below_the_headings_before_them() -> None:
    document = read(NAME, LAB)

    assert document.title == "Attention by hand"
    assert told(document) == [
        ("cell 1", "With NumPy."),
        ("cell 1", "- query\n- key"),
        ("cell 2", "scores = q @ k.T\nscores"),
        ("cell 2", "Output:\narray([1])"),
        ("cell 3", "| a | b |\n| - | - |\n| 1 | 2 |"),
        ("cell 4", "print(1)"),
        ("cell 4", "Output:\n1"),
    ]
    assert kinds(document) == ["text", "list", "code", "code", "table", "code", "code"]
    assert headings(document)[0] == ()
    assert headings(document)[1:5] == [("Scores",)] * 4
    assert headings(document)[5:] == [("Scores", "Masking")] * 2


def test_what_looks_like_a_heading_in_code_or_maths_is_none() -> None:
    document = read(
        NAME, notebook(markdown("```python\n# no heading\n```\n\n$$\na\n-\nb\n$$\n"), code("# none either"))
    )

    assert headings(document) == [(), (), ()]
    assert document.title == ""


def test_setext_headings_count_and_the_first_heading_is_the_title() -> None:
    document = read(NAME, notebook(markdown("Lab **one**\n-------\n\nText."), code("x = 1")))

    assert document.title == "Lab one"
    assert told(document) == [("cell 1", "Text."), ("cell 2", "x = 1")]


def test_long_output_is_cut_and_pictures_and_objects_are_left_out() -> None:
    image = {
        "output_type": "display_data",
        "data": {"image/png": "iVBOR" * 1000, "text/plain": "<Figure size 640x480>"},
    }
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no \x1b[31mrank", "traceback": ["long"] * 99}
    document = read(NAME, notebook(code("a", stream("y" * 5000)), code("b", image), code("c", error)))

    words = [text for _, text in told(document)]
    assert words[1] == "Output:\n" + "y" * 1000 + " …"
    assert words[2:] == ["b", "c", "Output:\nValueError: no rank"]


def test_a_progress_bar_is_kept_as_it_was_last_seen() -> None:
    document = read(NAME, notebook(code("train()", stream("10%|#\r 50%|##\r100%|####\ndone\r\n"))))

    assert told(document)[1] == ("cell 1", "Output:\n100%|####\ndone")


def test_pictures_inside_markdown_are_left_out() -> None:
    document = read(NAME, notebook(markdown("See ![plot](data:image/png;base64,iVBORw0KGgo=) above.")))

    assert told(document) == [("cell 1", "See ![plot](data:) above.")]


def test_format_3_is_read_with_its_heading_cells() -> None:
    cells = [
        {"cell_type": "heading", "level": 1, "source": ["Old lab"]},
        {"cell_type": "heading", "level": 2, "source": "Setup"},
        {"cell_type": "code", "input": ["x = 1"], "outputs": [{"output_type": "pyout", "text": ["1"]}]},
    ]
    document = read(NAME, json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode())

    assert document.title == "Old lab"
    assert told(document) == [("cell 3", "x = 1"), ("cell 3", "Output:\n1")]
    assert headings(document) == [("Setup",), ("Setup",)]


def test_a_raw_cell_of_front_matter_is_meta_and_a_strange_cell_is_lost() -> None:
    data = json.dumps({"cells": [{"cell_type": "raw", "source": "---\ntitle: x\n---"}, 7, code("x")]}).encode()
    document = read(NAME, data)

    assert kinds(document) == ["meta", "code"]
    assert document.lost == ("cell 2: not a cell",)


def test_halves_of_characters_are_joined_or_replaced() -> None:
    document = read(NAME, b'{"cells": [{"cell_type": "raw", "source": ["\\ud83d", "\\ude00 a\\ud83d b\\u0000"]}]}')

    assert told(document) == [("cell 1", "😀 a\ufffd b\ufffd")]


def test_what_is_no_notebook_is_refused() -> None:
    assert refusal(read, "a.ipynb", b"{}") == ("failed", "not a notebook: the JSON has no cells")
    assert refusal(read, "a.ipynb", b"[1]") == ("failed", "not a notebook: the JSON has no cells")
    assert refusal(read, "a.ipynb", b"# Markdown")[1].startswith("not a notebook: no JSON (Expecting value")
    assert refusal(read, "a.ipynb", b"[" * 100_000)[0] == "failed"
    assert refusal(read, "a.ipynb", b"1" * 10_000)[0] == "failed"


@pytest.mark.parametrize("odd", [None, 7, 1.5, True, [], {}, [None, 7], {"a": 1}, "text"])
def test_values_of_another_type_than_the_format_says_lose_no_more_than_themselves(odd: object) -> None:
    for at, cell in enumerate(json.loads(LAB)["cells"]):
        for key in cell:
            cells = json.loads(LAB)["cells"]
            cells[at][key] = odd
            assert len(told(read(NAME, notebook(*cells)))) >= 4
    for key in ("output_type", "data", "text"):
        output = {"output_type": "stream", "text": "1", key: odd}
        assert told(read(NAME, notebook(code("x", output))))[0] == ("cell 1", "x")


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    assert survives(read, "lab.ipynb", damaged(LAB, times=200, seed=8)) > 5
