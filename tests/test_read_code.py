from pathlib import Path

import pytest

from ingest.read.code import read
from tests.readings import damaged, headings, refusal, survives, told

TRAIN = '''"""Training on many GPUs.

More about it.
"""

import os

RANKS = 8


# Saves on rank 0 only.
@record
def save(step):
    path = "a"

    return path


class Trainer(Base):
    """Holds the model."""

    steps = 0

    def step(self):
        pass

    tail = 1

    class Hook:
        async def fire(self):
            pass


if __name__ == "__main__":
    save(1)
'''
SERVER = """// A server.
package main

import "fmt"

func main() {
    fmt.Println("a")

    fmt.Println("b")
}

type Rank struct {
    id int
}
"""


def test_python_is_cut_by_definition() -> None:
    document = read(Path("train.py"), TRAIN.encode())

    assert document.text == TRAIN
    assert document.title == "Training on many GPUs."
    assert told(document) == [
        ("line 1", '"""Training on many GPUs.\n\nMore about it.\n"""'),
        ("line 6", "import os"),
        ("line 8", "RANKS = 8"),
        ("def save, line 13", '# Saves on rank 0 only.\n@record\ndef save(step):\n    path = "a"\n\n    return path'),
        ("class Trainer, line 19", 'class Trainer(Base):\n    """Holds the model."""\n\n    steps = 0'),
        ("def step, line 24", "    def step(self):\n        pass"),
        ("line 27", "    tail = 1"),
        ("class Hook, line 29", "    class Hook:"),
        ("def fire, line 30", "        async def fire(self):\n            pass"),
        ("line 34", 'if __name__ == "__main__":\n    save(1)'),
    ]
    assert headings(document)[4:] == [
        (),
        ("class Trainer",),
        ("class Trainer",),
        ("class Trainer",),
        ("class Trainer", "class Hook"),
        (),
    ]


def test_python_with_an_error_is_cut_at_its_blank_lines() -> None:
    assert told(read(Path("a.py"), b"import os\n\ndef f(:\n    a = 1\n\n    return a\n\nprint 'two'\n")) == [
        ("line 1", "import os"),
        ("line 3", "def f(:\n    a = 1\n\n    return a"),
        ("line 8", "print 'two'"),
    ]


def test_other_languages_are_cut_where_nothing_is_indented() -> None:
    assert told(read(Path("main.go"), SERVER.encode())) == [
        ("line 1", "// A server.\npackage main"),
        ("line 4", 'import "fmt"'),
        ("line 6", 'func main() {\n    fmt.Println("a")\n\n    fmt.Println("b")\n}'),
        ("line 12", "type Rank struct {\n    id int\n}"),
    ]


def test_a_long_indented_chunk_is_cut_at_its_blank_lines() -> None:
    lines = "namespace A {\n" + "    int x;\n" * 45 + "\n    int y;\n}\n"

    assert [place for place, _ in told(read(Path("a.cs"), lines.encode()))] == ["line 1", "line 48"]


def test_windows_line_ends_and_a_byte_order_mark_do_not_shift_lines() -> None:
    data = b"\xef\xbb\xbfa = 1\r\n\r\ndef f():\r\n    pass\r\n"

    assert told(read(Path("a.py"), data)) == [("line 1", "a = 1"), ("def f, line 3", "def f():\n    pass")]


@pytest.mark.parametrize(
    "source",
    ["(" * 10_000, "-" * 100_000 + "1", "x = 1\0\n" + "y = 2\n" * 9, "x = '\\d'\n", "'a' is 1\n", "\f\ndef f(): 0"],
)
def test_python_that_the_parser_chokes_on_is_still_read(source: str) -> None:
    lines = "\n" * (len(source) // 100)

    assert told(read(Path("a.py"), (source + lines).encode()))


def test_data_and_minified_files_are_skipped() -> None:
    rows = "- {a: 1, b: 2}\n" * 20_000

    assert refusal(read, "a.yaml", rows.encode()) == ("skipped", "300000 characters of yaml: data, not notes")
    assert refusal(read, "a.min.js", b"f();" * 1000) == (
        "skipped",
        "generated or minified: its lines are too long to be read",
    )
    assert told(read(Path("a.yaml"), b"a: 1\nb:\n  - 2\n")) == [("line 1", "a: 1\nb:\n  - 2")]


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    assert survives(read, "train.py", damaged(TRAIN.encode(), times=100, seed=9)) > 60
    assert survives(read, "main.go", damaged(SERVER.encode(), times=100, seed=10)) > 60
