"""The command `ask cert`: certificates that you plan, have booked, or have earned."""

import contextlib
import datetime
from typing import TYPE_CHECKING

import click

from ui.show import line_of

if TYPE_CHECKING:
    from assistant.blueprint import Certificate
    from assistant.decide import Decisions, Held
    from ui.settings import UiSettings

DATE = click.DateTime(["%Y-%m-%d"])


def _named(context: click.Context, option: click.Parameter, id_: str) -> str:
    if not id_.strip():
        raise click.BadParameter("say what it is called, in a word: nca-aiio")
    return id_.strip()


ID = click.argument("id_", metavar="ID", callback=_named)
DAY = click.argument("day", type=DATE, metavar="DAY")


@click.group("cert")
def cert() -> None:
    """Keep your certificates: planned, booked, earned, expiring.

    ID is that of a plan's certificate (nca-aiio), or any word of yours.

    \b
    Examples:
      ask cert add nca-aiio --day 2026-12-18
      ask cert book nca-aiio 2026-12-18
      ask cert earn nca-aiio 2026-12-18
      ask cert list
    """


@cert.command()
@ID
@click.option("--title", default="", help="What it is called; a plan's certificate has its title.")
@click.option("--day", type=DATE, help="When you mean to take it.")
def add(id_: str, title: str, day: datetime.datetime | None) -> None:
    """Plan to take certificate ID."""
    _decide(id_, "planned", title, day, None)


@cert.command()
@ID
@DAY
def book(id_: str, day: datetime.datetime) -> None:
    """Its exam is booked for DAY."""
    _decide(id_, "booked", "", day, None)


@cert.command()
@ID
@DAY
@click.option("--expires", type=DATE, help="When it ends; as the plan says how long it is valid, if left out.")
def earn(id_: str, day: datetime.datetime, expires: datetime.datetime | None) -> None:
    """It was earned on DAY."""
    if expires and expires <= day:
        raise click.UsageError("it must expire after the day on which it was earned")
    if day.date() > datetime.date.today():
        raise click.UsageError(f"{day.date()} is still to come; book it: ask cert book {id_} {day.date()}")
    _decide(id_, "earned", "", day, expires)


@cert.command()
@ID
def drop(id_: str) -> None:
    """Take certificate ID off the list."""
    _, decisions = _opened()
    decisions.certificate(id_)
    decisions.certify(id_, "dropped")
    click.echo(f"{line_of(id_)} is off the list")


@cert.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def list_(as_json: bool) -> None:
    """Show your certificates, and those of the plans that you have begun."""
    from assistant.decide import DROPPED
    from ui import open as opening

    settings, decisions = _opened()
    today = datetime.date.today()
    held = [one for one in decisions.certificates() if one.state != DROPPED]
    suggested = offered(settings, decisions)
    if as_json:
        opening.print_json(
            {
                "certificates": [
                    {
                        "id": one.id,
                        "title": one.title,
                        "state": one.told(today),
                        "day": str(one.day) if one.day else None,
                        "expires": str(one.expires) if one.expires else None,
                    }
                    for one in held
                ],
                "suggested": [one.id for one in suggested],
            }
        )
        return
    for one in held:
        day = f" {one.day}" if one.day else ""
        ends = f", until {one.expires}" if one.expires else ""
        click.echo(f"{one.told(today):<9}{day}{ends}  {line_of(one.title)} ({line_of(one.id)})")
    for offer in suggested:
        day = f" {offer.date}" if offer.date else ""
        click.echo(f"{'in a plan':<9}{day}  {line_of(offer.title)} ({offer.id}): ask cert add {offer.id}")
    if not held and not suggested:
        click.echo("no certificate yet; plan one: ask cert add ID --title TITLE --day DATE")


def offered(settings: "UiSettings", decisions: "Decisions") -> "list[Certificate]":
    """Return the certificates of the plans that were begun, of which the learner has not spoken yet."""
    from assistant.blueprint import find
    from assistant.errors import BlueprintRejected, NoSuchPlan

    found: dict[str, Certificate] = {}
    for name in decisions.begun():
        with contextlib.suppress(NoSuchPlan, BlueprintRejected):  # ask plan says what is wrong with it
            found = {one.id: one for one in find(name, settings.home).certificates} | found
    spoken_of = {one.id for one in decisions.certificates()}
    return [one for one in found.values() if one.id not in spoken_of]


def _opened() -> "tuple[UiSettings, Decisions]":
    from assistant.decide import Decisions
    from assistant.journal import Journal
    from ui import open as opening

    settings = opening.settings()
    return settings, Decisions(Journal.of(settings))


def _decide(id_: str, state: str, title: str, day: datetime.datetime | None, expires: datetime.datetime | None) -> None:
    settings, decisions = _opened()
    on, ends = day.date() if day else None, expires.date() if expires else None
    held = certify(settings, decisions, id_, state, title=title, day=on, expires=ends)
    until = f", valid until {held.expires}" if held.expires else ""
    click.echo(f"{line_of(held.title)}: {held.state}{f' {held.day}' if held.day else ''}{until}")


def certify(
    settings: "UiSettings",
    decisions: "Decisions",
    id_: str,
    state: str,
    *,
    title: str = "",
    day: datetime.date | None = None,
    expires: datetime.date | None = None,
) -> "Held":
    """Keep what became of a certificate, and return it; a plan says its title, day and validity.

    Args:
        settings: Where plans of the user's own are.
        decisions: The learner's.
        id_: That of a plan's certificate, or any word.
        state: planned, booked, earned or dropped.
        title: What it is called; empty: as before, or as the plan has it.
        day: When it is to be taken, or was earned; None: as the plan says, if it is planned.
        expires: When it ends; None: as the plan says.
    """
    known = _known(settings, id_)
    if state == "planned" and known:
        day = day or known.date
    if state == "earned" and day and expires is None and known and known.valid_months:
        expires = months_later(day, known.valid_months)
    spoken_of = {one.id for one in decisions.certificates()}
    named = title or (known.title if known and id_ not in spoken_of else "")
    decisions.certify(id_, state, title=named, day=day, expires=expires)
    return decisions.certificate(id_)


def _known(settings: "UiSettings", id_: str) -> "Certificate | None":
    """Return a plan's certificate of that name."""
    from assistant.blueprint import find, named
    from assistant.errors import BlueprintRejected

    for name in named(settings.home):
        try:
            every = find(name, settings.home).certificates
        except BlueprintRejected:  # another plan may have it; ask plan says what is wrong with this one
            continue
        if found := next((one for one in every if one.id == id_), None):
            return found
    return None


def months_later(day: datetime.date, months: int) -> datetime.date:
    """Return the same day so many months later; the last of the month where it has no such day."""
    from calendar import monthrange

    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return datetime.date(year, month, min(day.day, monthrange(year, month)[1]))
