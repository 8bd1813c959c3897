"""Our index for other llama-index programs: a retriever, and a tool for their agents.

    from llama_index.core.query_engine import RetrieverQueryEngine
    from assistant.llamaindex import NotesRetriever

    engine = RetrieverQueryEngine.from_args(NotesRetriever(), llm=my_llm)

LlamaIndex's own types never leave this file.
"""

from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import FunctionTool

from assistant.retrieve import Passage, retrieve
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf


class NotesRetriever(BaseRetriever):
    """Finds passages of the notes as the `ask` command does."""

    def __init__(
        self,
        shelf: Shelf | None = None,
        *,
        top_k: int = 0,
        course: str = "",
        settings: AssistantSettings | None = None,
    ) -> None:
        """Look into `shelf`, by default that of the settings in force.

        Args:
            shelf: The notes.
            top_k: Most passages; 0: as the settings say.
            course: Sub-folder of the notes to stay in; empty: all.
            settings: What the user set; by default read from STUDY_* variables.
        """
        self._settings = settings or AssistantSettings()
        self._shelf = shelf or Shelf(self._settings)
        self._top_k, self._course = top_k or self._settings.top_k, course
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = retrieve(
            query_bundle.query_str,
            self._shelf.view(),
            self._shelf.embedder,
            top_k=self._top_k,
            course=self._course,
            text_of=self._shelf.ledger.text,
        )
        return [NodeWithScore(node=_node(passage), score=passage.score) for passage in found.passages]


def _node(passage: Passage) -> TextNode:
    chunk = passage.chunk
    metadata: dict[str, Any] = {
        "path": chunk.path,
        "course": chunk.course,
        "locator": chunk.place_at(chunk.start).locator,
        "heading": chunk.heading_line,
        "version": chunk.version,
    }
    return TextNode(
        id_=chunk.id,
        text=chunk.text,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        metadata=metadata,
        excluded_embed_metadata_keys=list(metadata),
        excluded_llm_metadata_keys=["version", "course"],
    )


def notes_tool(shelf: Shelf | None = None, *, top_k: int = 0) -> FunctionTool:
    """Return a tool that lets an agent search the notes; each passage comes with its file and place."""
    retriever = NotesRetriever(shelf, top_k=top_k)

    def search_notes(question: str) -> str:
        """Search the user's course notes and return the passages nearest to a question, with their places."""
        found = retriever.retrieve(question)
        return "\n\n".join(
            f"[{n}] {node.metadata['path']}, {node.metadata['locator']}\n{node.text}"
            for n, node in enumerate(found, start=1)
        )

    return FunctionTool.from_defaults(fn=search_notes)
