"""The command `ask eval`: score answers, hold them against what was accepted, try settings."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.group import Group
from ui.keep import keep
from ui.runs import (
    as_json_option,
    compare,
    difference_text,
    estimate_text,
    history,
    named,
    opened,
    report,
    run_text,
    show,
)

if TYPE_CHECKING:
    from assistant.settings import AssistantSettings
    from eval.gate import Checked
    from eval.runs import Run
    from eval.suite import Plan

_SUITES = ("retrieval", "refusal", "answer", "mcq", "quiz", "all")


@click.group(cls=Group, default="run", default_if_no_args=True)
def evaluate() -> None:
    """Score retrieval, refusal and answers on a set of questions, and keep the run.

    \b
    Examples:
      ask eval --no-llm                              the shipped questions about the shipped notes
      ask eval --notes ~/notes --cases my.jsonl      the form of the cases: eval/cases.py
      ask eval compare RUN RUN
      ask eval show last --worst 10
    """


for command in (history, show, compare, report, keep):
    evaluate.add_command(command)
_folder = click.Path(path_type=Path, exists=True, file_okay=False)


def _what(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what is scored."""
    options = (
        click.option("--notes", type=_folder, help="Folder of notes; by default the shipped course."),
        click.option(
            "--cases", type=click.Path(path_type=Path), help="File of questions; by default the shipped ones."
        ),
        click.option("--suite", "suites", type=click.Choice(_SUITES), multiple=True, help="May be repeated."),
        click.option("--limit", type=click.IntRange(0), default=0, help="Most cases, evenly spread; 0: all."),
        click.option("--no-llm", is_flag=True, help="Ask no model."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _plan(
    notes: Path | None, cases: Path | None, suites: Sequence[str], limit: int, no_llm: bool, default: str = "all"
) -> "Plan":
    from eval.score import SUITES
    from eval.suite import GOLD, ROOT, Plan

    if (notes is None) != (cases is None):
        raise click.UsageError("--notes and --cases belong together: give both or neither")
    names = suites or default.split()
    chosen = SUITES if "all" in names else tuple(suite for suite in SUITES if suite in names)
    return Plan(notes or ROOT / "corpus", cases or GOLD, chosen, limit, use_model=not no_llm)


def _mine(settings: "AssistantSettings", plan: "Plan", suites: Sequence[str]) -> "Plan":
    """Return the same plan for the learner's own cases; of these, what was written where no suite is named."""
    from eval.mine import plan_mine

    own = replace(plan_mine(settings, use_model=plan.use_model), limit=plan.limit)
    return replace(own, suites=plan.suites, written_only=False) if suites else own


@evaluate.command()
@_what
@as_json_option
@click.option("--mine", is_flag=True, help="Your own cases (`ask eval keep`), on your own index.")
@click.option("--judge", is_flag=True, help="Let the served model judge the answers; it is measured first.")
def run(
    notes: Path | None,
    cases: Path | None,
    suites: tuple[str, ...],
    limit: int,
    no_llm: bool,
    as_json: bool,
    mine: bool,
    judge: bool,
) -> None:
    """Score a set of questions (the default: `ask eval …` is `ask eval run …`)."""
    from eval.publish import keep as keeping
    from eval.suite import run as scoring
    from ui import open as opening

    if mine and (notes or cases):
        raise click.UsageError("--mine has its own notes and cases; leave --notes and --cases out")
    plan = _plan(notes, cases, suites, limit, no_llm)
    if mine:
        plan = _mine(opening.settings(), plan, suites)
    plan = replace(plan, judged=judge)
    with opening.bars() as tell:
        scored = scoring(plan, opening.settings(), progress=tell, notice=_notice)
    path = keeping(opening.settings(), scored.run, scored.rows)
    if as_json:
        opening.print_json(scored.run.as_json() | {"rows": str(path)})
    else:
        click.echo(run_text(scored.run))
        click.echo(f"rows: {path}")


@evaluate.command()
@_what
@click.option("--baseline", type=click.Path(path_type=Path), help="What was accepted; by default beside the cases.")
@click.option("--mine", is_flag=True, help="Your own cases against their own baseline.")
@as_json_option
def gate(
    notes: Path | None,
    cases: Path | None,
    suites: tuple[str, ...],
    limit: int,
    no_llm: bool,
    baseline: Path | None,
    mine: bool,
    as_json: bool,
) -> None:
    """Score, and fail with exit status 1 where a score is worse than what was accepted, beyond chance.

    \b
    Examples:
      ask eval gate                  retrieval and refusal on the shipped questions
      ask eval gate --mine
    """
    from eval.gate import baseline_of, check, load_baseline
    from eval.publish import keep as keeping
    from eval.suite import run as scoring
    from ui import open as opening

    settings = opening.settings()
    plan = _plan(notes, cases, suites, limit, no_llm, default="retrieval refusal")
    if mine:
        plan = _mine(settings, plan, suites)
    elif not set(plan.suites) & {"answer", "mcq"}:
        plan = replace(plan, use_model=False)  # follow-ups must not depend on who happens to be served
    path = baseline or baseline_of(plan.cases)
    accepted = load_baseline(path)
    with opening.bars() as tell:
        scored = scoring(plan, settings, progress=tell, notice=_notice)
    kept = keeping(settings, scored.run, scored.rows)
    found = check(accepted, scored.rows, path, model=scored.run.model, asked=scored.asked, limited=bool(limit))
    if accepted.head["settings"].get("cases_hash") != scored.run.settings["cases_hash"]:
        _notice(f"the questions have changed since {path} was accepted; those that both have are compared")
    if as_json:
        told = {"run": scored.run.id, "accepted": accepted.head["run"], "passed": found.passed, "rows": str(kept)}
        told |= {"differences": [asdict(one) for one in found.differences], "lost": found.lost, "gone": found.gone}
        fell = {f"{suite} {metric}": cases for (suite, metric), cases in found.fell.items()}
        opening.print_json(told | {"fell": fell, "model": found.model})
    else:
        click.echo("\n".join([*map(difference_text, found.differences), *_remarks(found, limited=bool(limit))]))
        click.echo(f"run {scored.run.id} against {accepted.head['run']}: {_gate_text(found)}")
    if not found.passed:
        sys.exit(1)


def _remarks(found: "Checked", *, limited: bool) -> Iterator[str]:
    """Yield what a person should know beside the figures, a line each."""
    for (suite, metric), cases in found.fell.items():
        yield f"did worse by {suite} {metric}: {named(cases)}"
    for lost in found.lost:
        yield f"has no score any more: {lost}"
    if found.gone:
        yield f"accepted and {'left out by --limit' if limited else 'not asked any more'}: {named(found.gone)}"
    if found.model:
        yield f"{found.model}; to compare them from now on: ask eval accept RUN"


def _gate_text(found: "Checked") -> str:
    told = f"{len(found.worse)} scores are worse beyond chance" if found.worse else "nothing is worse beyond chance"
    told += f"; {len(found.lost)} scores are gone" if found.lost else ""
    return told + (f"; of {len(found.too_few)} scores there are too few cases to say" if found.too_few else "")


@evaluate.command()
@click.argument("name", metavar="[RUN]", default="")
@click.option("--baseline", type=click.Path(path_type=Path), help="Where to write it; by default beside the cases.")
@click.option("--mine", is_flag=True, help="The last run of your own cases.")
def accept(name: str, baseline: Path | None, mine: bool) -> None:
    """Accept a run, by default the last of the shipped cases: `ask eval gate` holds later ones against it.

    \b
    Examples:
      ask eval accept --mine
      ask eval accept 20261121-061502
    """
    from eval.gate import baseline_of, save_baseline
    from eval.mine import cases_path
    from eval.suite import GOLD
    from ui import open as opening

    runs = opened()
    cases = str(cases_path(opening.settings()) if mine else GOLD)
    last = runs.last(100, cases=cases)
    found = runs.get(name) if name else next((one for one in last if is_whole(one)), None)
    if found is None:
        raise click.ClickException(f"no run scored all of {cases} yet; make one: ask eval{' --mine' if mine else ''}")
    if not is_whole(found):
        raise click.ClickException(f"run {found.id} scored some cases only, or was a trial; accept a whole one")
    path = baseline or baseline_of(Path(found.cases))
    count = save_baseline(path, found, runs.rows_of(found.id))
    click.echo(f"{path}: {count} rows of run {found.id}")


def is_whole(run: "Run") -> bool:
    """Return whether a run scored all of its cases, with the settings in force."""
    return not run.settings.get("limit") and not run.settings.get("trial")


@evaluate.command()
@_what
@click.option("--set", "given", multiple=True, required=True, metavar="NAME=VALUE,VALUE", help="May be repeated.")
@click.option("--by", default="retrieval shown", show_default=True, help="The score that decides: suite and name.")
@as_json_option
def sweep(
    notes: Path | None,
    cases: Path | None,
    suites: tuple[str, ...],
    limit: int,
    no_llm: bool,
    given: tuple[str, ...],
    by: str,
    as_json: bool,
) -> None:
    """Try settings on the same questions; name the cheapest that is not shown to be worse than the best.

    \b
    Examples:
      ask eval sweep --set chunk_tokens=64,128,190 --set top_k=3,6 --no-llm
      ask eval sweep --set chunk_tokens=128,190 --by "retrieval passage_ndcg@10"
    """
    from eval import sweep as sweeping
    from ui import open as opening

    suite, _, metric = by.partition(" ")
    if suite not in _SUITES[:-1] or not metric:
        raise click.UsageError(
            f'--by wants a suite and a score, like "retrieval shown"; suites: {", ".join(_SUITES[:-1])}'
        )
    plan = _plan(notes, cases, suites, limit, no_llm, default=f"{suite} retrieval")
    tries = sweeping.combinations(given, opening.settings())
    runs = opened()
    tried = []
    with opening.bars() as tell:
        for one in sweeping.sweep(plan, tries, runs, progress=tell, notice=cache(_notice)):  # each line once
            tried.append(one)
            if not as_json:
                again = "  (kept from before)" if one.again else ""
                score = estimate_text(one.score(suite, metric))
                cost = f"{one.cost:8.1f} a question"
                click.echo(f"{one.told:<32} {by}{score}  cost {cost}  run {one.scored.run.id}{again}")
    result = sweeping.judge(tried, suite, metric)
    if as_json:
        opening.print_json(sweeping.as_json(result))
        return
    for one, against in zip(result.tried, result.against, strict=True):
        if against:
            change = f"{against.after - against.before:+.3f} [{against.low:+.3f}, {against.high:+.3f}]"
            click.echo(f"{one.told:<32} against the best {change}  p {against.p:.3f}  {against.verdict}")
    click.echo(f"best: {result.best.told}; the cheapest that is not shown to be worse: {result.not_worse[0].told}")
    if result.too_few:
        _notice(f"{result.too_few} cases are too few to say whether a cheaper one is worse")


def _notice(line: str) -> None:
    from ui.show import line_of

    click.echo(line_of(line), err=True)
