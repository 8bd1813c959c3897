from pathlib import Path

import pytest

from ingest.chunk import Chunk, chunk, chunk_id, clean
from ingest.embed import Embedder
from ingest.read import read
from ingest.shelf import BEST_TOKENS
from tests.conftest import ROOT


def cut(text: str, embedder: Embedder, most: int = BEST_TOKENS, name: str = "a.md") -> list[Chunk]:
    document = read(Path(name), text.encode())
    return chunk(document, path=name, version="v1", count_tokens=embedder.count_tokens, most_tokens=most)


def notes() -> list[Path]:
    return sorted((ROOT / "corpus").rglob("*.md"))


@pytest.mark.parametrize("path", notes(), ids=lambda path: path.stem)
def test_chunks_are_stretches_of_the_note_in_order_and_fit_the_model(path: Path, embedder: Embedder) -> None:
    text = path.read_text(encoding="utf-8")
    chunks = cut(text, embedder)
    assert [found.ordinal for found in chunks] == list(range(len(chunks)))
    last = 0
    for found in chunks:
        assert text[found.start : found.end] == found.text
        assert last <= found.start
        last = found.end
    lengths = embedder.count_tokens([found.words for found in chunks])
    assert max(lengths) + 2 <= embedder.model.max_tokens


def test_nothing_is_lost_to_truncation_where_llama_index_s_default_loses_most(embedder: Embedder) -> None:
    from llama_index.core.node_parser import SentenceSplitter

    most = embedder.model.max_tokens - 2
    splitter = SentenceSplitter(tokenizer=lambda text: [0] * embedder.count_tokens([text])[0])
    ours, theirs = [], []
    for path in notes():
        text = path.read_text(encoding="utf-8")
        ours += embedder.count_tokens([found.words for found in cut(text, embedder)])
        theirs += embedder.count_tokens(splitter.split_text(text))
    lost = sum(max(0, length - most) for length in ours) / sum(ours)
    assert lost <= 0.01
    assert sum(max(0, length - most) for length in theirs) / sum(theirs) > 0.5


def test_front_matter_is_no_chunk_and_headings_stand_in_theirs(embedder: Embedder) -> None:
    text = "---\ntitle: Zebras\n---\n\n# Zebras\n\nThey have stripes.\n\n## Food\n\nThey eat grass.\n"
    (only,) = cut(text, embedder)
    assert only.text.startswith("# Zebras")
    assert only.title == "Zebras"
    assert only.place_at(only.start).locator == "§ Zebras"
    assert only.place_at(text.index("They eat")).locator == "§ Food"


def test_a_note_of_nothing_but_front_matter_is_still_found(embedder: Embedder) -> None:
    assert len(cut("---\ntitle: Zebras and their stripes\n---\n", embedder)) == 1


def test_long_code_tables_and_paragraphs_are_split_at_lines_and_sentences(embedder: Embedder) -> None:
    code = "```python\n" + "".join(f"value_{i} = compute({i})\n" for i in range(200)) + "```\n"
    table = "| n | square |\n|---|---|\n" + "".join(f"| {i} | {i * i} |\n" for i in range(200))
    prose = " ".join(f"Sentence number {i} says something about sharding." for i in range(100))
    text = f"# A\n\n{code}\n{table}\n{prose}\n"
    chunks = cut(text, embedder)
    assert len(chunks) > 10
    assert all(text[found.start : found.end] == found.text for found in chunks)
    assert "".join("".join(found.text.split()) for found in chunks) == "".join(text.split())


@pytest.mark.slow
def test_a_line_of_two_million_characters_is_cut_in_bounded_time(embedder: Embedder) -> None:
    text = "x" * 1_000_000 + " word" * 200_000
    chunks = cut(text, embedder, name="a.txt")
    assert sum(len(found.text) for found in chunks) > 1_500_000


def test_ids_depend_on_path_version_and_position_alone() -> None:
    assert chunk_id("a.md", "v1", 0) == "e880f7f2-fd11-5d08-98dc-100850a65b01"
    assert len({chunk_id(p, v, n) for p in ("a.md", "b.md") for v in ("1", "2") for n in (0, 1)}) == 8


def test_marks_are_taken_out_of_what_is_searched() -> None:
    written = "**Bold** [link](http://a.b/c) ![alt](x.png) <br> `code` <!-- gone --> https://a.b/c"
    assert clean(written) == "Bold link alt code"
