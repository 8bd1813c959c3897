"""The commands `ask export` and `ask import`: items and journals out of the house, and in."""

import json
from collections import Counter
from pathlib import Path

import click

from ui.show import counted


@click.command(name="export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--course", default="", help="Only items of this sub-folder of the notes.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def export(file: Path, course: str, force: bool) -> None:
    """Write the quiz items, or your journal, to FILE; its ending says how.

    .apkg: Anki (a second export updates the first). .csv: a table. .gift: Moodle and others. .zip: QTI 2.1.
    .json: your whole journal, with every answer and review, for `ask import` elsewhere.

    \b
    Examples:
      ask export cards.apkg
      ask export questions.gift --course infrastructure
      ask export journal.json
    """
    from assistant import deck
    from assistant.items import Items
    from assistant.journal import Journal
    from ui import open as opening
    from ui import private
    from ui.review import active_in

    if file.exists() and not force:
        raise click.ClickException(f"{file} is there; name another file, or say --force")
    settings = opening.settings()
    suffix = file.suffix.lower()
    if suffix == ".json":
        dumped = {"format": "study-assistant journal"} | Journal.of(settings).dump()
        private.write(file, json.dumps(dumped, ensure_ascii=False))
        click.echo(f"{counted(sum(len(table['rows']) for table in dumped['tables'].values()), 'rows')}: {file}")
        return
    shelf = opening.shelf(settings)
    items = list(active_in(Items.of(shelf.folder), course).values())
    if not items:
        raise click.ClickException("there is no item to export; make some with: ask quiz")
    if suffix == ".apkg":
        deck.write_anki(items, file, f"Study: {shelf.notes.name}", shelf.notes)
    elif suffix == ".csv":
        file.write_text(deck.to_csv(items), encoding="utf-8", newline="")
    elif suffix == ".gift":
        file.write_text(deck.to_gift(items), encoding="utf-8")
    elif suffix == ".zip":
        deck.write_qti(items, file)
    else:
        raise click.UsageError(f"{file.name} says no format; end it in .apkg, .csv, .gift, .zip or .json")
    click.echo(f"{counted(len(items), 'items')}: {file}")


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_(file: Path) -> None:
    """Read questions from FILE (GIFT, Anki's text export, CSV with a head), or a journal (.json) into an empty one.

    Each question is bound to the words of the notes that bear it out, where there are any; what is left out is told.

    \b
    Examples:
      ask import questions.gift
      STUDY_LEARNER=ada ask import journal.json
    """
    from assistant import deck
    from assistant.bind import admit
    from assistant.cards import Rejected
    from assistant.errors import DeckUnreadable
    from assistant.items import Item, Items
    from assistant.journal import Journal
    from ui import open as opening
    from ui.show import line_of

    settings = opening.settings()
    if file.suffix.lower() == ".json":
        try:
            dumped = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DeckUnreadable(file, "it is no JSON") from error
        count = Journal.of(settings).load(dumped if isinstance(dumped, dict) else {})
        click.echo(f"{count} rows read into the journal of {settings.learner}")
        return
    shelf = opening.shelf(settings)
    opening.index_first(shelf)
    items = Items.of(shelf.folder)
    found = list(admit(deck.read(file), shelf, items.active()))
    whole = [one for one in found if isinstance(one, Item)]
    added = items.add(whole, revive=False)
    bound = sum(bool(item.evidence.path) for item in whole)
    click.echo(f"{added} of {len(found)} questions read; the notes bear out {bound} of them")
    left = [one for one in found if isinstance(one, Rejected)]
    for reason, count in Counter(one.reason for one in left).most_common():
        first = next(one.item.question for one in left if one.reason == reason)
        click.echo(f"{count} left out: {reason} (“{line_of(first)}”{' and others' if count > 1 else ''})")
    if added < len(whole):
        click.echo(f"{len(whole) - added} left out: at rest or retired here, since their note changed")
