"""The command `ask review`: what is due is asked again, and comes back when FSRS says."""

import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from assistant.grade import Model


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
        found = reviews.fit()
        click.echo("fitted: " + ", ".join(f"{value:.4f}" for value in found))
        return
    if not clock_is_right:
        reviews.check_clock()
    items = Items.of(shelf.folder)
    if shelf.ledger.generation:
        refresh(items, shelf)
    active = {item.id: item for item in items.active() if not course or item.evidence.course == course.strip("/")}
    schedule = reviews.schedule()
    due = [active[one.item] for one in reviews.due(active)][:most]
    later = sorted(one.due for id_, one in schedule.items() if id_ in active and one.due > reviews.now())
    if as_json:
        told = [item.shown() | {"due": schedule[item.id].due, "reviews": schedule[item.id].reviews} for item in due]
        opening.print_json({"due": told, "later": len(later), "next": later[0] if later else None})
        return
    if only_list or not due:
        for item in due:
            click.echo(f"{line_of(item.question)}  ({line_of(item.evidence.path)})")
        rest = f"next: {when(later[0], reviews.now())}" if later else "nothing later; ask quiz makes new questions"
        click.echo(f"{len(due)} due; {rest}")
        return
    judged = any(item.kind in ("short", "explain") for item in due)
    model = _model() if judged and not no_llm else None
    Asking(reviews, model, source="review").ask_all(due)
    rest_due = len(reviews.due(active))
    click.echo(f"{rest_due} still due" if rest_due else "nothing more is due now")
    if kept_up := streak((one.at for one in reviews.log()), datetime.date.today()).told():
        click.echo(kept_up)


def _model() -> "Model | None":
    from assistant import llm
    from ui import open as opening

    found = llm.find(opening.settings())
    return None if isinstance(found, llm.Absent) else found
