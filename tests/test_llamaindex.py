from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine

from assistant.llamaindex import NotesRetriever, notes_tool
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf


def test_a_query_engine_of_llama_index_answers_from_our_passages(corpus_settings: AssistantSettings) -> None:
    retriever = NotesRetriever(Shelf(corpus_settings), top_k=3, settings=corpus_settings)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    answer = engine.query("What is PagedAttention?")
    first = answer.source_nodes[0]
    assert len(answer.source_nodes) <= 3
    assert first.node.metadata["path"] == "infrastructure/model-serving.md"
    assert first.node.metadata["locator"] == "§ PagedAttention"
    assert "PagedAttention" in str(answer)  # the mock returns its prompt


def test_the_tool_returns_passages_with_their_places(corpus_settings: AssistantSettings) -> None:
    found = str(notes_tool(Shelf(corpus_settings), top_k=2).call("How many threads are in a warp?"))
    assert "[1] foundations/lecture-gpu-architecture.vtt, 00:" in found
