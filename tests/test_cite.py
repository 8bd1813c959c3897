import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.cite import best_quote, resolve
from assistant.retrieve import Passage
from ingest.chunk import Chunk, Place

FSDP = "FSDP shards parameters over all GPUs. It needs more communication than DDP."
DDP = "# Data parallelism\n\nDDP keeps a full copy on every GPU. It sends gradients only."


def a_passage(text: str, start: int = 1000) -> Passage:
    chunk = Chunk(
        "a.md", "v1", 0, start, start + len(text), text, "Training", (Place(start, "§ Sharding", ("Sharding",)),)
    )
    return Passage(chunk, 0.75, 0.7, 3.0, 1, 1)


PASSAGES = [a_passage(FSDP), a_passage(DDP, 5000)]
SAID = "FSDP shards parameters over all GPUs"


@pytest.mark.parametrize(
    ("answer", "text", "numbers"),
    [
        (f"{SAID} [1].", f"{SAID} [1].", [(1,)]),
        (f"{SAID}. [1]", f"{SAID}. [1]", [(1,)]),
        (f"{SAID}[1].", f"{SAID} [1].", [(1,)]),
        (f"{SAID} [1, 2].", f"{SAID} [1][2].", [(1, 2)]),
        (f"{SAID} [1][2].", f"{SAID} [1][2].", [(1, 2)]),
        (f"{SAID} [1-2].", f"{SAID} [1][2].", [(1, 2)]),
        (f"{SAID} [^1].", f"{SAID} [1].", [(1,)]),
        (f"{SAID} [passage 1].", f"{SAID} [1].", [(1,)]),
        (f"{SAID} 【1†source】.", f"{SAID} [1].", [(1,)]),
        (f"{SAID} [7].", f"{SAID}.", [()]),
        (f"{SAID} [0].", f"{SAID}.", [()]),
        (f"{SAID} [1](http://x.org).", f"{SAID} [1](http://x.org).", [()]),
        (f"{SAID}: `x[1]` [2].", f"{SAID}: `x[1]` [2].", [(2,)]),
        (f"{SAID} [1]. It needs communication [1].", f"{SAID} [1]. It needs communication [1].", [(1,), (1,)]),
    ],
)
def test_marks_as_models_write_them_are_resolved(answer: str, text: str, numbers: list[tuple[int, ...]]) -> None:
    cited = resolve(answer, PASSAGES)
    assert cited.text == text
    assert [sentence.citations for sentence in cited.sentences] == numbers


def test_a_citation_is_an_exact_quote_at_its_place_in_the_note() -> None:
    citation = resolve(f"{SAID} [1].", PASSAGES).citations[0]
    assert citation.quote == "FSDP shards parameters over all GPUs."
    assert (citation.start, citation.end) == (1000, 1037)
    assert (citation.path, citation.locator, citation.heading) == ("a.md", "§ Sharding", "Training > Sharding")


def test_sources_that_no_sentence_cites_are_not_listed() -> None:
    assert [citation.n for citation in resolve("DDP keeps a full copy [2].", PASSAGES).citations] == [2]


def test_a_sentence_without_a_mark_is_unsupported_even_if_it_is_true() -> None:
    cited = resolve(f"{SAID}.", PASSAGES)
    assert not cited.sentences[0].supported
    assert cited.marked == f"{SAID}. [unsupported]"


def test_headings_and_introductions_are_not_judged() -> None:
    cited = resolve(f"## Sharding\n\nIn short:\n\n{SAID} [1].", PASSAGES)
    assert [sentence.text for sentence in cited.sentences] == [f"{SAID}."]


def test_the_quote_is_the_sentence_that_says_it_and_no_heading() -> None:
    start, end = best_quote("A full copy stays on every GPU", DDP)
    assert DDP[start:end] == "DDP keeps a full copy on every GPU."


@given(st.text(max_size=200), st.text(max_size=400))
def test_whatever_the_model_writes_quotes_are_exact(answer: str, note: str) -> None:
    passages = [a_passage(note or "x")]
    for citation in resolve(f"{answer} [1]. And [1] more.", passages).citations:
        assert citation.quote == passages[0].chunk.text[citation.start - 1000 : citation.end - 1000]
