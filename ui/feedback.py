"""The command `ask feedback`: say whether the last answer was right."""

from pathlib import Path

import click


@click.command()
@click.argument("verdict", type=click.Choice(["up", "down"]))
@click.option("--wrong", default="", metavar="TEXT", help="What was wrong.")
@click.option("--note", type=click.Path(path_type=Path), help="The note that has the right answer.")
def feedback(verdict: str, wrong: str, note: Path | None) -> None:
    """Say whether the last answer was right.

    What was thought of answers is kept in the journal.

    \b
    Examples:
      ask feedback up
      ask feedback down --wrong "the port is 9090" --note infrastructure/ports.md
    """
    from contextlib import closing

    from assistant.errors import NoSuchAnswer
    from assistant.journal import Journal
    from ui import open as opening
    from ui import show

    if verdict == "up" and (wrong or note):
        raise click.UsageError("--wrong and --note go with `down`")
    settings = opening.settings()
    path = ""
    if note:
        shelf = opening.shelf(settings)
        path = shelf.relative(note)
        if not shelf.ledger.note(path):
            raise click.ClickException(f"{show.line_of(path)} is no note; see: ask status")
    with closing(Journal.of(settings)) as journal:
        last = journal.last()
        if last is None:
            raise NoSuchAnswer(0)
        journal.feedback(last.id, verdict == "up", wrong, path)
    click.echo(f"noted for answer {last.id}: {verdict} ({show.line_of(last.question)})")
    if verdict == "down":
        click.echo("to have it tested every night: ask eval keep", err=True)
