"""The command `ask exam`: a practice exam at the terminal."""

import contextlib
import select
import sys
from typing import TYPE_CHECKING

import click

from ui.show import counted, line_of

if TYPE_CHECKING:
    from assistant.exam import Exam, Part, Result
    from assistant.review import Reviews
    from ui.settings import UiSettings

LAP_S = 10.0
"""The time is kept so often while a question is open: a crash gives back no more than that."""


_WORDS = {"s": "puts it off", "q": "leaves", "end": "ends the exam"}


@click.command()
@click.option("--plan", "name", default="", help="Which plan's blueprint.")
@click.option("-n", "wanted", type=click.IntRange(1, 500), help="Most questions; as the real exam has, if left out.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time; in the real exam's proportion.")
@click.option("--resume", is_flag=True, help="Go on with the exam that was left unfinished.")
@click.option("--last", "show_last", is_flag=True, help="Show the result of the last exam.")
@click.option("--right", "overruled", type=int, metavar="N", help="Your answer N in the last exam was right.")
@click.option("--seed", type=int, help="The same number gives the same choice.")
@click.option("--no-llm", is_flag=True, help="Make what questions are missing by rule; ask no model.")
@click.option("--clock-is-right", is_flag=True, help="Go on though the clock seems wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document at the end.")
def exam(
    name: str,
    wanted: int | None,
    minutes: float | None,
    resume: bool,
    show_last: bool,
    overruled: int | None,
    seed: int | None,
    no_llm: bool,
    clock_is_right: bool,
    as_json: bool,
) -> None:
    """Take a practice exam: the blueprint's proportions, a clock, and no word about right or wrong before the end.

    Every answer is kept at once: after a crash, or `q`, go on with --resume; the clock stands still meanwhile. `s` puts
    a question off, `end` ends the exam. What you missed is shown with its passage, and comes back in `ask review`.

    \b
    Examples:
      ask exam --plan nca-aiio -n 60 --minutes 60
      ask exam --resume
      ask exam --last
    """
    from assistant.exam import Exam
    from assistant.journal import Journal
    from assistant.review import Reviews
    from ui import open as opening

    settings = opening.settings()
    reviews = Reviews(Journal.of(settings), settings)
    if not (clock_is_right or show_last):
        reviews.check_clock()
    if show_last or overruled is not None:
        sitting = Exam.last(reviews, name)
        if overruled is not None:
            sitting.overrule(overruled)
    elif resume:
        sitting = Exam.resume(reviews, name)
        left = len(sitting.questions) - sitting.answered
        click.echo(
            f"{line_of(sitting.title)}: {counted(left, 'questions')} and {_clock(sitting.time_left)} left", err=as_json
        )
    else:
        if not name:
            raise click.UsageError("name the plan: ask exam --plan NAME (ask plan lists them)")
        sitting = _begun(settings, reviews, name, wanted, minutes, seed, use_model=not no_llm)
    if not (show_last or overruled is not None) and not _sit(sitting, err=as_json):
        click.echo(
            f"left with {sitting.answered} of {len(sitting.questions)} answered; go on: ask exam --resume", err=as_json
        )
        return
    if as_json:
        opening.print_json(sitting.result().as_json())
    else:
        click.echo(result_text(sitting.result()))


def _begun(
    settings: "UiSettings",
    reviews: "Reviews",
    name: str,
    wanted: int | None,
    minutes: float | None,
    seed: int | None,
    *,
    use_model: bool,
) -> "Exam":
    from assistant.blueprint import find
    from assistant.compose import begin
    from ui import open as opening
    from ui.plan import opened
    from ui.quiz import model_or_none

    blueprint = find(name, settings.home)
    shelf = opening.shelf(settings)
    opening.index_first(shelf)
    coverage, items = opened(blueprint, shelf, settings)
    model = model_or_none(settings) if use_model else None

    def tell(made: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{counted(made, 'questions')} made", nl=False, err=True)

    _tell_of_another(reviews)
    begun = begin(
        reviews,
        blueprint,
        coverage,
        shelf,
        settings,
        items,
        n=wanted or 0,
        minutes=minutes or 0.0,
        seed=seed,
        model=model,
        tell=tell,
    )
    if sys.stderr.isatty():
        click.echo(err=True)
    for line in begun.told():
        click.echo(line_of(line), err=True)
    return begun.exam


def _tell_of_another(reviews: "Reviews") -> None:
    """Say that an exam waits to be gone on with, if one does: `--resume` will lead to the new one first."""
    from assistant.errors import NoExam
    from assistant.exam import Exam

    with contextlib.suppress(NoExam):
        left = Exam.resume(reviews)
        done = f"{left.answered} of {len(left.questions)} answered"
        click.echo(f"{line_of(left.title)} was left with {done}; it waits until the new exam is over", err=True)


def _sit(sitting: "Exam", *, err: bool) -> bool:
    """Ask what is left, and keep the time that it took however it is left; return whether the exam is over."""
    try:
        return _asked(sitting, err=err)
    finally:
        sitting.lap()


def _asked(sitting: "Exam", *, err: bool) -> bool:
    from assistant.errors import ExamOver
    from ui.ask_item import HINTS, IN_WORDS

    while (item := sitting.next()) is not None:
        click.echo(
            f"\n{sitting.answered + 1} of {len(sitting.questions)} · {_clock(sitting.time_left)} left\n"
            f"{line_of(item.question)}",
            err=err,
        )
        for number, option in enumerate(item.options, start=1):
            click.echo(f"   {number}  {line_of(option)}", err=err)
        click.echo(f"[{HINTS.get(item.kind, 'answer')}; s later, q leave, end] ", nl=False, err=err)
        given = _line(sitting)
        meant = False
        if given in _WORDS and item.kind in IN_WORDS:  # it may be the answer: the letter of a matrix
            does = _WORDS[given]
            click.echo(f"   “{given}” {does}; Enter {does}, a gives it as your answer ", nl=False, err=err)
            said = _line(sitting)
            given, meant = None if said is None else given, said == "a"
        if given is None:
            click.echo(err=err)
            continue  # the time is up: next() says so
        if not meant and given in ("", "s") and len(sitting.questions) - sitting.answered > 1:
            sitting.skip()
        elif not meant and given in ("q", "\x04"):
            return False
        elif not meant and given == "end":
            sitting.finish()
        else:
            try:
                if not sitting.answer(given):
                    click.echo(f"   that is none of the options; say 1–{len(item.options)}", err=err)
            except ExamOver as error:
                click.echo(f"   {error}", err=err)
    return True


def _line(sitting: "Exam") -> str | None:
    """Return what the learner types; None where the time is up before, 'q' where the input ends."""
    sys.stdout.flush()
    while sys.stdin.isatty() and not select.select([sys.stdin], [], [], min(LAP_S, sitting.time_left))[0]:
        if not sitting.time_left:
            return None
        sitting.lap()
    line = sys.stdin.readline()
    if not sys.stdin.isatty():
        click.echo(err=True)
    return line.strip() if line else "q"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def result_text(result: "Result") -> str:
    """Return how an exam went, as plain text."""
    whole = result.whole
    lines = [
        f"\n{line_of(result.title)}: {whole.right} of {whole.asked} right, {_share(whole)}",
        f"{whole.answered} answered in {_clock(result.took_s)} of {result.minutes:g} min"
        + (f"; {result.ended}" if result.ended else "; not finished: ask exam --resume"),
        "",
        *(
            f"  {part.right:3} of {part.asked:<3} {_share(part):<28} {line_of(part.title)} ({part.weight:g}%)"
            for part in result.domains
        ),
    ]
    if result.misses:
        lines += ["", "Missed; these come back in ask review"]
    for miss in result.misses:
        lines.append(f"\n  {miss.number}. {line_of(miss.question)}")
        lines.append(f"     you said: {line_of(miss.given) or 'nothing'}" if miss.answered else "     not answered")
        lines.append(f"     right:    {line_of(miss.answer)}")
        lines.append(f"     “{line_of(miss.quote)}”\n     {line_of(miss.path)}, {line_of(miss.locator)}")
    if any(miss.answered for miss in result.misses):
        lines += ["", "If an answer of yours was right after all: ask exam --right NUMBER"]
    return "\n".join(lines)


def _share(part: "Part") -> str:
    if not part.asked:
        return "no questions"
    return f"{part.share:.0%} (95%: {part.low:.0%} to {part.high:.0%})"
