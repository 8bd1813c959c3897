"""The Quality tab: how good the answers are, by the eval suite and by what was asked."""

import time
from contextlib import closing
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr

from assistant import llm
from assistant.errors import in_a_word
from assistant.figures import Figures, Spread, figures
from assistant.journal import folder_of
from eval import gate, report
from eval.cases import BadCases
from eval.runs import Run, Runs
from ingest.errors import StudyError
from ui.settings import UiSettings
from ui.show import counted
from ui.web.desk import Desk
from ui.web.parts import learner_of
from ui.web.render import escaped, failed

_ALONE = "ServerUnreachable"
"""No failure: an answer in the words of the notes is what there is without a server."""
DAYS = 30
RUNS = 20
_NONE = (
    '<section class="source empty"><p>Nothing was scored yet. To score the shipped questions: <code>ask eval</code>; '
    "your own, made from thumbs-down: <code>ask eval --mine</code></p></section>"
)


class QualityTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.use = gr.HTML(elem_id="use")
        self.run = gr.Dropdown([], label="Run", elem_id="run", interactive=True)
        self.page = gr.HTML(_NONE, elem_id="quality")
        self.run.input(self.chosen, [self.run], [self.page], show_progress="minimal", api_visibility="private")
        self.outputs = [self.use, self.run, self.page]

    def load(self, request: gr.Request) -> tuple[Any, ...]:
        """Show the index and the model in use, the latencies, and the last run."""
        try:
            use = use_html(self._desk, learner_of(request))
            runs = self._runs(request)
        except StudyError as error:
            return failed(str(error)), gr.skip(), gr.skip()
        if not runs:
            return use, gr.update(choices=[], visible=False), _NONE
        names = [(_name(run), run.id) for run in runs]
        return use, gr.update(choices=names, value=runs[0].id, visible=True), self.chosen(runs[0].id, request)

    def chosen(self, run: str, request: gr.Request) -> str:
        """Show one run."""
        if run not in {one.id for one in self._runs(request)}:
            return _NONE
        try:
            return _page(self._desk.settings.home.expanduser(), run)
        except StudyError as error:
            return failed(str(error))

    def _runs(self, request: gr.Request) -> list[Run]:
        settings = self._desk.of(learner_of(request))
        with closing(Runs(settings.home.expanduser())) as runs:
            return visible(runs, settings)


def _name(run: Run) -> str:
    cases, when = Path(run.cases), time.strftime("%d %b %Y, %H:%M", time.localtime(run.started))
    return f"{when}: {cases.parent.name}/{cases.stem}" + (f", {run.model}" if run.model else "")


def visible(runs: Runs, settings: UiSettings) -> list[Run]:
    """Return the last runs, without those of other learners' own cases."""
    own, every = folder_of(settings), folder_of(settings).parent

    def shown(run: Run) -> bool:
        cases = Path(run.cases)
        return cases.is_relative_to(own) or not cases.is_relative_to(every)

    return list(islice(filter(shown, runs.newest()), RUNS))


@lru_cache(maxsize=8)
def _page(home: Path, name: str) -> str:
    with closing(Runs(home)) as runs:
        run = runs.get(name)
        before = [one for one in runs.last(RUNS, cases=run.cases) if one.started <= run.started]
        return f'<section class="report">{"".join(report.parts(run, runs.rows_of(run.id), before))}</section>'


def use_html(desk: Desk, learner: str) -> str:
    """Return what answers now, and how fast it did in the last month."""
    found = figures(desk.journal(learner).figures(time.time() - DAYS * 86400))
    ledger = desk.shelf.ledger
    notes = [note for note in ledger.notes().values() if note.chunks]
    told = f"{counted(len(notes), 'notes')}, {counted(sum(note.chunks for note in notes), 'passages')}"
    rows = [
        ("Model", _model(desk)),
        ("Index", f"generation {ledger.generation}: {told}"),
        ("Built with", ledger.built_with or "nothing is indexed yet"),
        ("Last gate", last_gate(desk.of(learner))),
        *_answers(found),
    ]
    body = "".join(f"<tr><th scope='row'>{escaped(name)}</th><td>{escaped(value)}</td></tr>" for name, value in rows)
    return f'<table class="use"><tbody>{body}</tbody></table>'


def _model(desk: Desk) -> str:
    found = desk.model()
    embedding = desk.shelf.embedder.model.name
    return f"{'none is served' if isinstance(found, llm.Absent) else found.name}; {embedding} embeds"


def last_gate(settings: UiSettings) -> str:
    """Return what the newest run came to that can be held against what was accepted."""
    with closing(Runs(settings.home.expanduser())) as runs:
        for run in visible(runs, settings):
            path = gate.baseline_of(Path(run.cases))
            if run.settings.get("trial") or not path.is_file():
                continue
            try:
                found = gate.check(gate.load_baseline(path), runs.rows_of(run.id), path, model=run.model)
            except (gate.OtherCases, gate.NoBaseline, BadCases):
                continue
            when = time.strftime("%d %b, %H:%M", time.localtime(run.started))
            worse = "; ".join(f"{one.suite} {one.metric} {one.before:.3f} → {one.after:.3f}" for one in found.worse)
            return f"{when}: {'worse beyond chance: ' + worse if worse else 'passed, nothing is worse beyond chance'}"
    return "none yet; to have one: ask eval gate"


def _answers(found: Figures) -> list[tuple[str, str]]:
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.outcomes.items())
    alone = found.failures.get(_ALONE, 0)
    failures = ", ".join(f"{count} {in_a_word(name)}" for name, count in found.failures.items() if name != _ALONE)
    rows = [(f"Answers, last {DAYS} days", f"{found.answers}: {outcomes}" if found.answers else "none yet")]
    for name, spread, unit in (
        ("First passage", found.first_passage_ms, "ms"),
        ("First token", found.first_token_ms, "ms"),
        ("Whole answer", found.total_ms, "ms"),
        ("Speed", found.tokens_per_s, "tokens/s"),
    ):
        if spread:
            rows.append((name, _spread(spread, unit)))
    if found.cached is not None:
        rows.append(("Prompt from the server’s cache", f"{found.cached:.0%}"))
    if alone:
        rows.append(("Without a model server", counted(alone, "answers")))
    return [*rows, ("Failures", failures or "none")]


def _spread(spread: Spread, unit: str) -> str:
    return f"{spread.p50:.0f} {unit} at the median, {spread.p95:.0f} {unit} at the 95th percentile ({spread.n})"
