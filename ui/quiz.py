"""The command `ask quiz`: questions from the notes, answered at the terminal, or listed as JSON."""

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from assistant.errors import ServerError
    from assistant.grade import Model
    from assistant.settings import AssistantSettings


@click.command()
@click.argument("topic", nargs=-1)
@click.option("-n", "wanted", type=click.IntRange(1, 500), default=10, show_default=True, help="Most questions.")
@click.option("--course", default="", help="Stay in this sub-folder of the notes.")
@click.option("--objective", default="", help="Note this as what the questions serve to learn.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind; may be given again.")
@click.option("--no-llm", is_flag=True, help="Make questions by rule; ask no model.")
@click.option("--new", "fresh", is_flag=True, help="Make all questions now, though some are there to be asked.")
@click.option(
    "--rewrite", is_flag=True, help="Verify or write anew what rests because its note has changed; ask nothing."
)
@click.option("--seed", default=0, help="Another number takes other parts of the notes first.")
@click.option("--clock-is-right", is_flag=True, help="Go on though the clock seems wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print questions and answers as one JSON document; ask nothing.")
def quiz(
    topic: tuple[str, ...],
    wanted: int,
    course: str,
    objective: str,
    kinds: tuple[str, ...],
    no_llm: bool,
    fresh: bool,
    rewrite: bool,
    seed: int,
    clock_is_right: bool,
    as_json: bool,
) -> None:
    """Answer questions about the notes; each is bound to the words that bear it out.

    A model writes them where one is served; without one they are made by rule from definitions, tables, numbers and
    code. Only what passes every check is asked. Answer by number or in words; an empty line is 'I don't know', q ends.
    What you were asked comes back in `ask review`.

    \b
    Examples:
      ask quiz
      ask quiz "KV cache" -n 5
      ask quiz --course infrastructure --kind mcq
      ask quiz --no-llm -n 10 --json
    """
    from assistant import stale
    from assistant.items import FLAGGED, KINDS, Item, Items
    from assistant.journal import Journal
    from assistant.quiz import Wish, gathered
    from assistant.quiz import quiz as questions
    from assistant.review import Reviews
    from ui import open as opening

    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise click.UsageError(f"there is no kind {unknown[0]}; kinds: {', '.join(KINDS)}")
    settings = opening.settings()
    shelf = opening.shelf(settings)
    opening.index_first(shelf)
    items = Items.of(shelf.folder)
    stale.refresh(items, shelf)
    reviews = Reviews(Journal.of(settings), settings)
    model = None if no_llm else model_or_none(settings)
    if rewrite:
        told = stale.mend(items, shelf, model)
        click.echo(f"{told}, {len(items.every(FLAGGED))} still rest")
        return
    wish = Wish(wanted, " ".join(topic), objective, course.strip("/"), frozenset(kinds), fresh, seed)
    made = questions(shelf, settings, items, wish, model=model, asked=reviews.asked(), failing=tell_failed)
    if as_json:
        every, rejected = gathered(made)
        document: dict[str, Any] = {"items": [item.as_json() for item in every], "rejected": dict(rejected)}
        opening.print_json(document)
        return
    if not clock_is_right:
        reviews.check_clock()
    from ui.ask_item import Asking

    found = (one for one in made if isinstance(one, Item))
    if (first := next(found, None)) is None:
        raise click.ClickException("no question could be made; ask for another topic or kind, or add notes")
    Asking(reviews, model, source="quiz").ask_all(chain([first], found))


def tell_failed(error: "ServerError") -> None:
    """Say that the model failed, and what comes of it."""
    from assistant.quiz import failed
    from ui.show import line_of

    click.echo(line_of(failed(error)), err=True)


def model_or_none(settings: "AssistantSettings") -> "Model | None":
    """Return the model that is served; None, and a line why, where none is."""
    from assistant import llm
    from ui.show import line_of

    found = llm.find(settings)
    if isinstance(found, llm.Absent):
        click.echo(f"no model answered, so the questions are made by rule: {line_of(found.reason)}", err=True)
        return None
    return found
