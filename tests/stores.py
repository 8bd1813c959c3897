"""What the tests of the stores write into them, and find there."""

from collections.abc import Sequence
from contextlib import closing

from ingest.index import Entry, Store, View
from tests.fakes import HashedEmbedder, entries

NOTES = {
    "gpu/ddp.md": "DDP keeps a full copy of the model on every GPU",
    "gpu/fsdp.md": "FSDP keeps one shard of the model on every GPU",
    "rag/bm25.md": "BM25 scores the words of a question",
}


def write(
    store: Store,
    generation: int,
    base: int = 0,
    add: Sequence[Entry] = (),
    remove: Sequence[Entry] = (),
    *,
    dim: int = 16,
) -> None:
    """Make a generation, as a sync does."""
    count = 0
    if base:
        with closing(store.view(base)) as view:
            count = view.count()
    draft = store.draft(generation, base, dim)
    draft.remove([gone.chunk.id for gone in remove])
    draft.add(add)
    draft.finish(count + len(add) - len(remove), [new.chunk.id for new in add])
    store.keep_only(generation)


def there(view: View) -> dict[str, str]:
    return {chunk.path: chunk.text for chunk, _ in view.scroll()}


def notes() -> list[Entry]:
    return list(entries(NOTES))


def vector(text: str) -> list[float]:
    found: list[float] = HashedEmbedder().encode_query(text)[0].tolist()
    return found
