"""The command `ask learners`: who keeps a journal here."""

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def learners(as_json: bool) -> None:
    """Name those who keep a journal in this installation; notes and questions are shared, journals are not.

    STUDY_LEARNER says who you are. A name that is new begins a journal of its own.

    \b
    Examples:
      ask learners
      STUDY_LEARNER=anna ask review
    """
    from assistant.journal import learners_in
    from ui import open as opening
    from ui.show import line_of

    settings = opening.settings()
    names = learners_in(settings.home)
    if as_json:
        opening.print_json({"learner": settings.learner, "learners": names})
        return
    for name in names:
        click.echo(f"{line_of(name)}{' (you)' if name == settings.learner else ''}")
    if settings.learner not in names:
        click.echo(f"{settings.learner} (you; nothing is kept yet)")
