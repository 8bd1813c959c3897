"""The command `ask log`: what you did in a week, counted in your journal, ready for a blog or a wiki."""

import datetime
import re
from typing import TYPE_CHECKING

import click

from ui.show import line_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from assistant.journal import Journal
    from assistant.progress import Progress
    from assistant.review import Reviews
    from ingest.shelf import Shelf
    from ui.settings import UiSettings


@click.command("log")
@click.option("--week", is_flag=True, help="The seven days that end today (the default).")
@click.option("--days", type=click.IntRange(1, 366), help="So many days.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day; today, if left out.")
@click.option("--markdown", is_flag=True, help="Print Markdown, to be pasted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def log(week: bool, days: int | None, until: datetime.datetime | None, markdown: bool, as_json: bool) -> None:
    """Tell what you studied, asked, answered and mastered, where you are weak, and what comes next.

    All of it was counted in your journal. The plans are those that you have begun (ask plan NAME --start DATE).

    \b
    Examples:
      ask log --week
      ask log --week --markdown > week-47.md
      ask log --days 30 --until 2026-11-30
    """
    from assistant.journal import Journal
    from assistant.review import Reviews
    from ui import open as opening
    from ui.plan import check_clock

    if week and days:
        raise click.UsageError("--week is --days 7; give one of them")
    settings = opening.settings()
    shelf = opening.shelf(settings)
    journal = Journal.of(settings)
    reviews = Reviews(journal, settings)
    check_clock(reviews, only_look=True)
    last = until.date() if until else datetime.date.today()
    found = progress_of(
        journal,
        reviews,
        shelf,
        settings,
        last=last,
        days=days or 7,
        left_out=lambda why: click.echo(f"left out: {line_of(why)}", err=True),
    )
    if as_json:
        told = {section.title: list(section.lines) for section in found.sections}
        opening.print_json({"first": str(found.first), "last": str(found.last), "sections": told})
    else:
        click.echo(markdown_of(found) if markdown else _text(found))


def progress_of(
    journal: "Journal",
    reviews: "Reviews",
    shelf: "Shelf",
    settings: "UiSettings",
    *,
    last: datetime.date,
    days: int = 7,
    left_out: "Callable[[str], None]" = lambda _: None,
) -> "Progress":
    """Return what a learner did in the `days` that end with `last`, in all the plans that were begun.

    Args:
        journal: The learner's.
        reviews: The same learner's.
        shelf: The notes.
        settings: What the user set.
        last: The last day.
        days: How many, at least 1.
        left_out: Told why, where a plan that was begun is gone or broken.
    """
    from assistant.blueprint import find
    from assistant.decide import Decisions
    from assistant.errors import BlueprintRejected, NoSuchPlan
    from assistant.items import Items
    from assistant.progress import Followed, progress
    from ui.plan import opened

    followed = []
    for name in Decisions(journal).begun():
        try:
            blueprint = find(name, settings.home)
        except (NoSuchPlan, BlueprintRejected) as error:
            left_out(str(error))
            continue
        followed.append(Followed(blueprint, opened(blueprint, shelf, settings)[0]))
    return progress(reviews, Items.of(shelf.folder).active(), followed, last=last, days=days)


def _text(found: "Progress") -> str:
    lines = [f"{found.first} to {found.last}"]
    for section in found.sections:
        lines += ["", section.title, *(f"  {line_of(line)}" for line in section.lines)]
    return "\n".join(lines)


def markdown_of(found: "Progress") -> str:
    """Return a log as Markdown, to be pasted into a blog or a wiki."""
    lines = [f"# Progress, {found.first} to {found.last}"]
    for section in found.sections:
        lines += ["", f"## {section.title}", "", *(f"- {_escaped(line)}" for line in section.lines)]
    return "\n".join(lines)


def _escaped(line: str) -> str:
    """Return a line in which nothing is taken for Markdown or HTML that is not meant so."""
    safe = "".join(f"\\{letter}" if letter in "\\`*_[]<>#|~&" else letter for letter in line_of(line))
    return _BEGINS.sub(r"\1\\\2", safe)  # no list in the list


_BEGINS = re.compile(r"^(\d*)([-+=.)])")
