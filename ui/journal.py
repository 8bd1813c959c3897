"""The command `ask journal`: what your journal holds, whether its file is sound, and a copy of it."""

from pathlib import Path

import click


@click.command()
@click.option("--backup", "to", type=click.Path(path_type=Path, dir_okay=False), help="Write a whole copy to FILE.")
@click.option("--check", is_flag=True, help="Read the whole file, and say whether anything in it is damaged.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def journal(to: Path | None, check: bool, as_json: bool) -> None:
    """Show where your journal is and what it holds; copy it, or check it.

    A copy is of one moment, though others write meanwhile. To go back to one: stop the app, move journal.db (and
    journal.db-wal, journal.db-shm, where they are) away, and put the copy in its place. Before a newer version of this
    program changes the file, it keeps a copy of its own beside it.

    \b
    Examples:
      ask journal
      ask journal --check
      ask journal --backup ~/backups/journal-2026-11-21.db
    """
    from assistant.journal import Journal
    from assistant.review import Reviews
    from ui import open as opening
    from ui.show import counted, line_of

    settings = opening.settings()
    kept = Journal.of(settings)
    if to and to.exists():
        raise click.ClickException(f"{to} is there already; name a file that is not")
    if (check or to) and (wrong := kept.check()):
        raise click.ClickException(
            f"{kept.path} is damaged: {line_of(wrong)}; for how to go back to a copy: ask journal -h"
        )
    if to:
        kept.backup(to)
    counts = {
        "answers": len(kept.figures(0)),
        "reviews": Reviews(kept, settings).count(),
        "conversations": len(kept.conversations(-1)),
    }
    if as_json:
        told = {"learner": settings.learner, "path": str(kept.path), **counts}
        opening.print_json(told | ({"sound": True} if check or to else {}) | ({"backup": str(to)} if to else {}))
        return
    click.echo(line_of(str(kept.path)))
    click.echo(", ".join(counted(count, name) for name, count in counts.items()))
    if check or to:
        click.echo("nothing in it is damaged")
    if to:
        click.echo(f"copied to {line_of(str(to))}")
