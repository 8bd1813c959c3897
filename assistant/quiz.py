"""A quiz: items of the notes, asked before or made now, each checked before anyone sees it.

    items that are there and were not asked yet → made by the model from passages, or by rule → kept → yielded

Nothing is made twice: what passed is kept for all learners, and a quiz begins with what is there.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import asdict, dataclass, replace

from assistant import cards
from assistant.author import write
from assistant.cards import Made
from assistant.errors import NotCovered, ServerError
from assistant.facts import CELL, Fact, Source, every, source
from assistant.grade import Model
from assistant.items import Item, Items
from assistant.refuse import judge, load_calibration
from assistant.retrace import traced_quiz
from assistant.retrieve import retrieve
from assistant.settings import AssistantSettings
from ingest.chunk import Chunk
from ingest.ledger import Note
from ingest.shelf import Shelf

NOTES, A_QUESTION = 40, 2
"""Notes that are read for one quiz, or for each question if that is more: those with the fewest items."""
ABOUT = 30
"""Chunks that are about a topic, at most."""

Failing = Callable[[ServerError], None]
"""Is told why the model failed."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a quiz shall be like."""

    wanted: int = 10
    """Most items."""
    topic: str = ""
    """What it is about, in words; empty: all notes, evenly."""
    objective: str = ""
    """What the items made now serve to learn; empty: the headings above their evidence."""
    course: str = ""
    """Sub-folder of the notes to stay in; empty: all."""
    kinds: frozenset[str] = frozenset()
    """Kinds of items; empty: all."""
    fresh: bool = False
    """Make all of them now."""
    seed: int = 0
    chunks: tuple[str, ...] = ()
    """Ids of the chunks that it is about, the nearest first, where they were found before; no topic is looked for."""


def quiz(
    shelf: Shelf,
    settings: AssistantSettings,
    items: Items,
    wish: Wish,
    *,
    model: Model | None = None,
    asked: Collection[str] = (),
    failing: Failing | None = None,
) -> Generator[Made, None, None]:
    """Yield the items of a quiz as they are found or made, and what was rejected on the way.

    Args:
        shelf: The notes.
        settings: What the user set.
        items: Where items are kept: what passes is added.
        wish: What it shall be like.
        model: Writes the items; None: they are made by rule.
        asked: Ids of items that this learner was asked already.
        failing: Told why the model failed; what is missing is then made by rule. None: that the model failed is an
            error.

    Raises:
        NotCovered: The notes don't say enough about the topic.
        NotIndexed, IndexMismatch, IndexUnavailable: There is nothing to ask about.
        ServerError: The model failed, and nobody wants to be told.
    """
    made = _quiz(shelf, settings, items, wish, model, asked, failing)
    told = asdict(wish) | {"kinds": sorted(wish.kinds)}
    yield from traced_quiz(made, settings, told, model.name if model else "")


def failed(error: ServerError) -> str:
    """Return what a learner is told where the model failed, in one line."""
    return f"the model failed, so the questions that are missing are made by rule: {error}"


def gathered(made: Iterable[Made]) -> tuple[list[Item], Counter[str]]:
    """Return the items of a quiz, and how often each reason to reject one was given."""
    items: list[Item] = []
    rejected: Counter[str] = Counter()
    for one in made:
        if isinstance(one, Item):
            items.append(one)
        else:
            rejected[one.reason] += 1
    return items, rejected


def _quiz(
    shelf: Shelf,
    settings: AssistantSettings,
    items: Items,
    wish: Wish,
    model: Model | None,
    asked: Collection[str],
    failing: Failing | None,
) -> Generator[Made, None, None]:
    about = _about(shelf, settings, wish) if wish.topic or wish.chunks else []
    near = {chunk.id: rank for rank, chunk in enumerate(about)}
    existing = items.active()
    passed = 0
    if not wish.fresh:
        for item in _fitting(existing, wish, near, asked):
            if passed == wish.wanted:
                return
            passed += 1
            yield item
    sources = _sources(shelf, wish, about, existing)
    for made in _make(shelf, sources, about, existing, replace(wish, wanted=wish.wanted - passed), model, failing):
        if isinstance(made, Item):
            items.add([made])
        else:
            items.reject([(made.reason, made.item)])
        yield made


def _make(
    shelf: Shelf,
    sources: list[Source],
    about: list[Chunk],
    existing: list[Item],
    wish: Wish,
    model: Model | None,
    failing: Failing | None,
) -> Generator[Made, None, None]:
    """Yield what the model writes; what is missing where it fails, or all without a model, is made by rule."""
    written: list[Item] = []
    if model:
        try:
            for made in write(
                model,
                about or _spread(sources, existing, wish.seed),
                {one.version: one for one in sources},
                wanted=wish.wanted,
                existing=existing,
                embed=shelf.embedder.encode,
                kinds=wish.kinds,
                objective=wish.objective,
            ):
                if isinstance(made, Item):
                    written.append(made)
                yield made
        except ServerError as error:
            if failing is None:
                raise
            failing(error)
        else:
            return
    rest = replace(wish, wanted=wish.wanted - len(written))
    yield from _by_rule(shelf, sources, about, existing + written, rest)


def _about(shelf: Shelf, settings: AssistantSettings, wish: Wish) -> list[Chunk]:
    """Return the chunks that a topic is in, the nearest first."""
    if wish.chunks:
        fetched = {chunk.id: chunk for chunk in shelf.view().fetch(wish.chunks)}
        return [fetched[id_] for id_ in wish.chunks if id_ in fetched]
    found = retrieve(wish.topic, shelf.view(), shelf.embedder, top_k=settings.top_k, course=wish.course)
    if not judge(found, load_calibration(shelf.embedder.model.sha256, settings.home)).answerable:
        raise NotCovered(wish.topic)
    return [passage.chunk for passage in found.candidates[:ABOUT]]


def _fitting(existing: list[Item], wish: Wish, near: dict[str, int], asked: Collection[str]) -> list[Item]:
    """Return the items that are there and fit, taken in turns from the notes."""
    found = [
        item
        for item in existing
        if item.id not in asked
        and (not wish.kinds or item.kind in wish.kinds)
        and (not wish.course or item.evidence.course == wish.course)
        and (not wish.objective or item.objective == wish.objective)
        and (not near or item.evidence.chunk in near)
    ]
    if near:
        return sorted(found, key=lambda item: near[item.evidence.chunk])
    turns: Counter[str] = Counter()
    placed = []
    for item in found:
        placed.append((turns[item.evidence.path], item))
        turns[item.evidence.path] += 1
    return [item for _, item in sorted(placed, key=lambda pair: pair[0])]


def _sources(shelf: Shelf, wish: Wish, about: list[Chunk], existing: list[Item]) -> list[Source]:
    """Return the notes to make items from, those with the fewest items first."""
    view, ledger = shelf.view(), shelf.ledger
    paths = {chunk.path for chunk in about}
    notes = [note for note in ledger.notes().values() if note.version and (not paths or note.path in paths)]
    if wish.course:
        notes = [note for note in notes if note.path.startswith(f"{wish.course}/")]
    count = Counter(item.evidence.path for item in existing)
    order = random.Random(wish.seed)

    def fewest_first(note: Note) -> tuple[int, float]:
        return count[note.path], order.random()

    chosen = sorted(notes, key=fewest_first)[: max(NOTES, A_QUESTION * wish.wanted)]
    return [found for note in chosen if (found := source(note, view, ledger))]


def _by_rule(
    shelf: Shelf, sources: list[Source], about: list[Chunk], existing: list[Item], wish: Wish
) -> Generator[Made, None, None]:
    facts = every(sources)
    ranked = _in_turns(facts, {chunk.id: rank for rank, chunk in enumerate(about)}) if about else None
    yield from cards.make(
        facts,
        {one.version: one for one in sources},
        wanted=wish.wanted,
        existing=existing,
        embed=shelf.embedder.encode,
        seed=wish.seed,
        ranked=ranked,
        kinds=wish.kinds,
        objective=wish.objective,
    )


def _in_turns(facts: list[Fact], near: dict[str, int]) -> list[Fact]:
    """Return the facts of some chunks: one of each, the nearest chunk first, then the next of each; one a table row."""
    turns: Counter[str] = Counter()
    rows: set[tuple[str, int]] = set()
    placed: list[tuple[int, int, Fact]] = []
    for fact in sorted(facts, key=lambda fact: fact.kind == CELL):  # a definition before a table's cell
        place = fact.evidence
        if place.chunk not in near or (place.version, place.start) in rows:
            continue
        if fact.kind == CELL:
            rows.add((place.version, place.start))
        placed.append((turns[place.chunk], near[place.chunk], fact))
        turns[place.chunk] += 1
    return [fact for _, _, fact in sorted(placed, key=lambda entry: entry[:2])]


def _spread(sources: list[Source], existing: list[Item], seed: int) -> list[Chunk]:
    """Return all chunks in turns from the notes, those without items first, in an order of their own in each note."""
    used = Counter(item.evidence.chunk for item in existing)
    order = random.Random(seed)
    ranked: list[tuple[int, int, Chunk]] = []
    for one in sources:
        chunks = [chunk for chunk in one.chunks if len(chunk.words.split()) >= 40]
        order.shuffle(chunks)
        ranked += [(used[chunk.id], turn, chunk) for turn, chunk in enumerate(sorted(chunks, key=lambda c: used[c.id]))]
    return [chunk for _, _, chunk in sorted(ranked, key=lambda entry: entry[:2])]
