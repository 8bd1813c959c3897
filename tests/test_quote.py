from assistant.quote import CANDIDATES, QUOTES, quote
from assistant.retrieve import Passage, Retrieval
from ingest.chunk import Chunk, Place
from tests.fakes import HashedEmbedder

EMBEDDER = HashedEmbedder(dim=256)


def found_for(question: str, *texts: str) -> Retrieval:
    passages = tuple(
        Passage(
            Chunk(f"{n}.md", "v", 0, 100 * n, 100 * n + len(text), text, "", (Place(0, "line 1", ()),)),
            0.9 - n / 10,
            0.5,
            1.0,
            n,
            n,
        )
        for n, text in enumerate(texts, start=1)
    )
    return Retrieval(passages, passages, 0.8, EMBEDDER.encode_query(question)[0].tolist(), 5.0, {})


def quotes(question: str, *texts: str) -> list[str]:
    return [citation.quote for citation in quote(question, found_for(question, *texts), EMBEDDER).citations]


ZEBRAS = "Lions eat meat at night. Zebras have black and white stripes. Elephants drink much water."


def test_the_sentence_that_answers_is_quoted_alone() -> None:
    assert quotes("What stripes do zebras have?", ZEBRAS) == ["Zebras have black and white stripes."]


def test_a_quote_stands_where_its_citation_says() -> None:
    done = quote("What stripes do zebras have?", found_for("What stripes do zebras have?", ZEBRAS), EMBEDDER)
    (citation,) = done.citations
    assert (citation.path, citation.start, citation.end) == ("1.md", 125, 161)
    assert ZEBRAS[25:61] == citation.quote
    assert done.text == "Zebras have black and white stripes. [1]"
    assert [(sentence.citations, sentence.supported) for sentence in done.sentences] == [((1,), True)]


def test_two_sentences_that_say_the_same_are_quoted_once() -> None:
    same = "Zebras have black and white stripes."
    assert quotes("What stripes do zebras have?", same, same) == [same]


def test_at_most_three_are_quoted_in_the_order_of_the_passages() -> None:
    texts = [f"Zebras have stripes number {word} today." for word in ("alpha", "beta", "gamma", "delta", "epsilon")]
    assert quotes("zebras have stripes", *texts) == [
        f"Zebras have stripes number {w} today." for w in ("alpha", "beta", "gamma")
    ]
    assert QUOTES == 3


def test_headings_and_labels_are_quoted_only_where_there_is_nothing_else() -> None:
    question = "Which stripes do zebras have?"
    assert quotes(question, "# Zebras have stripes\n\nZebra stripes:\n\nThey are black and white lines.") == [
        "They are black and white lines."
    ]
    assert quotes(question, "zebra stripes") == ["zebra stripes"]


def test_a_row_of_a_table_may_answer() -> None:
    table = "| Animal | Pattern |\n|---|---|\n| Zebra | stripes |\n| Leopard | spots |"
    assert quotes("What pattern has the zebra?", table) == ["| Zebra | stripes |"]


def test_a_long_passage_costs_no_more_than_twelve_sentences() -> None:
    embedder = HashedEmbedder(dim=256)
    counted: list[int] = []
    real = embedder.encode
    embedder.encode = lambda texts: counted.append(len(texts)) or real(texts)  # type: ignore[method-assign,func-returns-value]
    text = " ".join(f"Zebra number {n} has its own stripes." for n in range(60))
    quote("zebra stripes", found_for("zebra stripes", text), embedder)
    assert max(counted) == CANDIDATES == 12


def test_no_passage_is_no_quote() -> None:
    done = quote("zebras", found_for("zebras"), EMBEDDER)
    assert (done.text, done.sentences, done.citations) == ("", (), ())
