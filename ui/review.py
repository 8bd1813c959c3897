"""The command `ask review`: what is due is asked again, and comes back when FSRS says."""

import datetime
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from assistant.items import Item, Items
    from assistant.review import Due, Reviews


@click.command()
@click.option("-n", "most", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most items.")
@click.option("--course", default="", help="Only items of this sub-folder of the notes.")
@click.option("--no-llm", is_flag=True, help="Grade by key and learner; ask no model.")
@click.option("--list", "only_list", is_flag=True, help="Show what is due and when the rest is; ask nothing.")
@click.option("--fit", is_flag=True, help="Fit the schedule to your own log (FSRS's optimizer; needs 512 reviews).")
@click.option("--clock-is-right", is_flag=True, help="Go on though the clock seems wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print what is due as one JSON document, without answers.")
def review(
    most: int, course: str, no_llm: bool, only_list: bool, fit: bool, clock_is_right: bool, as_json: bool
) -> None:
    """Review what is due: question, answer, grade, why, and when it comes back.

    Answers are graded where a key decides; a right one can be rated hard, good or easy. `!` after a wrong one says that
    you were right after all. Items whose note has changed rest until they are written anew.

    \b
    Examples:
      ask review
      ask review -n 20 --course infrastructure
      ask review --list
    """
    from assistant import llm
    from assistant.items import Items
    from assistant.journal import Journal
    from assistant.review import Reviews
    from assistant.stale import refresh
    from assistant.streak import streak
    from ui import open as opening
    from ui.ask_item import Asking, when
    from ui.show import line_of

    settings = opening.settings()
    shelf = opening.shelf(settings)
    reviews = Reviews(Journal.of(settings), settings)
    if fit:
        click.echo("fitted: " + ", ".join(f"{value:.4f}" for value in reviews.fit()))
        return
    if not clock_is_right:
        reviews.check_clock()
    items = Items.of(shelf.folder)
    if shelf.ledger.generation:
        refresh(items, shelf)
    active = active_in(items, course)
    if as_json:
        opening.print_json(due_json(reviews, active, most))
        return
    now_due, later = due_and_later(reviews, active)
    due = [active[one.item] for one in now_due[:most]]
    if only_list or not due:
        for item in due:
            click.echo(f"{line_of(item.question)}  ({line_of(item.evidence.path)})")
        rest = f"next: {when(later[0].due, reviews.now())}" if later else "nothing later; ask quiz makes new questions"
        click.echo(f"{len(due)} due; {rest}")
        return
    judged = any(item.kind in ("short", "explain") for item in due)
    found = llm.find(settings) if judged and not no_llm else None
    model = None if isinstance(found, llm.Absent) else found
    Asking(reviews, model, source="review").ask_all(reviews.while_due(due))
    rest_due = len(reviews.due(active))
    click.echo(f"{rest_due} still due" if rest_due else "nothing more is due now")
    if kept_up := streak((one.at for one in reviews.log()), datetime.date.today()).told():
        click.echo(kept_up)


def active_in(items: "Items", course: str) -> "dict[str, Item]":
    """Return the items that may be asked, by id: those of a sub-folder of the notes, or all."""
    course = course.strip("/")
    return {item.id: item for item in items.active() if not course or item.evidence.course == course}


def due_and_later(reviews: "Reviews", active: Collection[str]) -> "tuple[list[Due], list[Due]]":
    """Return which of the items are due now, the longest overdue first, and which come later, the next one first."""
    now = reviews.now()
    every = sorted((one for id_, one in reviews.schedule().items() if id_ in active), key=lambda one: one.due)
    return [one for one in every if one.due <= now], [one for one in every if one.due > now]


def due_json(reviews: "Reviews", active: "Mapping[str, Item]", most: int) -> dict[str, Any]:
    """Return what `ask review --json` prints: what is due, without answers, and how much comes later."""
    due, later = due_and_later(reviews, active)
    told = [active[one.item].shown() | {"due": one.due, "reviews": one.reviews} for one in due[:most]]
    return {"due": told, "later": len(later), "next": later[0].due if later else None}
