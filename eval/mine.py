"""From use to tests: an answer that was wrong becomes a case of the learner's own, and stays one.

    STUDY_HOME/learners/NAME/cases.jsonl       a case a line, in the form of eval/cases.py
    STUDY_HOME/learners/NAME/baseline.jsonl    what was accepted: at first, what each came to when it was first scored

`ask eval --mine` scores them on the learner's own index; the nightly run does, too, and warns.
"""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.journal import Feedback, Kept, folder_of
from assistant.settings import AssistantSettings
from eval.cases import read_cases, read_lines, write_lines
from eval.gate import Checked, NoBaseline, baseline_of, check, extend_baseline, load_baseline, save_baseline
from eval.publish import keep
from eval.score import ANSWER, REFUSAL, RETRIEVAL
from eval.suite import Plan, Scored, run
from ingest.errors import StudyError
from ingest.sync import Progress


class NothingToScore(StudyError):
    """A wrong answer without a right one is no case."""

    def __init__(self, question: str) -> None:
        super().__init__(
            f"say what is right for “{question[:60]}”: the note that has the answer "
            "(ask eval keep --note PATH), or that your notes don't have it (ask eval keep --not-in-notes)"
        )


class NoCasesYet(StudyError):
    """The learner has no cases of their own."""

    def __init__(self) -> None:
        super().__init__(
            "you have no cases of your own; to make a wrong answer one: ask feedback down --note PATH; ask eval keep"
        )


@dataclass(frozen=True, slots=True)
class Night:
    """What scoring the learner's cases came to."""

    scored: Scored
    checked: Checked | None
    """Against what they came to before; None: this was the first time."""
    added: int
    """Rows that the baseline has now and had not."""


def cases_path(settings: AssistantSettings) -> Path:
    """Return the learner's file of cases."""
    return folder_of(settings) / "cases.jsonl"


def learners(settings: AssistantSettings) -> list[str]:
    """Return the learners who have cases."""
    return sorted(path.parent.name for path in folder_of(settings).parent.glob("*/cases.jsonl"))


def case_from(
    kept: Kept, feedback: Feedback | None = None, *, note: str = "", answer: str = "", not_in_notes: bool = False
) -> dict[str, Any]:
    """Return the case that an answer of the journal becomes.

    Args:
        kept: The answer.
        feedback: What the learner said of it.
        note: Path of the note that has the right answer, by default the one that the feedback names.
        answer: The right answer.
        not_in_notes: The right answer is that the notes don't say.

    Raises:
        NothingToScore: Nobody said what is right.
    """
    right = "" if not_in_notes else note or (feedback.note if feedback else "")
    if not (right or answer or not_in_notes or kept.outcome == "not_in_notes"):
        raise NothingToScore(kept.question)
    return {
        "id": f"journal-{kept.id}",
        "question": str(kept.document.get("standalone") or kept.question),
        "kind": "open",
        "tags": ["from use"],
        "answerable": not not_in_notes,
        "answer": answer,
        "gold_docs": [right] if right else [],
        "wrong": feedback.wrong if feedback else "",
        "given": kept.document["answer"],
        "shown": [{"path": one["path"], "start": one["start"], "end": one["end"]} for one in kept.document["passages"]],
    }


def keep_case(path: Path, case: dict[str, Any]) -> bool:
    """Write a case into a file of cases, in place of one with the same id; return whether it is new."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the app and the command may keep one at the same moment
        lines = [line for _, line in read_lines(path)] if path.is_file() else []
        others = [line for line in lines if line.get("id") != case["id"]]
        write_lines(path, [*others, case])
    return len(others) == len(lines)


def plan_mine(settings: AssistantSettings, *, use_model: bool = True) -> Plan:
    """Return what is scored: the learner's cases on the index as it is published; answers where a model is served.

    Raises:
        NoCasesYet: There are none.
    """
    if not cases_path(settings).is_file():
        raise NoCasesYet
    suites = (RETRIEVAL, REFUSAL, ANSWER) if use_model else (RETRIEVAL, REFUSAL)
    notes = settings.notes.expanduser().resolve()
    return Plan(notes, cases_path(settings), suites, use_model=use_model, mine=True, written_only=True)


def score_mine(
    settings: AssistantSettings,
    *,
    notice: Callable[[str], None] = lambda line: None,
    progress: Progress | None = None,
) -> Night | None:
    """Score the learner's cases and hold them against what they came to before; None: there are none yet.

    The first score of a case is its baseline. Nothing is ever rolled back.
    """
    path = cases_path(settings)
    if not path.is_file() or not read_cases(path):
        return None
    scored = run(plan_mine(settings), settings, notice=notice, progress=progress)
    keep(settings, scored.run, scored.rows)
    accepted, now = baseline_of(path), scored.run
    try:
        checked = check(load_baseline(accepted), scored.rows, accepted, model=now.model, asked=scored.asked)
    except NoBaseline:
        return Night(scored, None, save_baseline(accepted, now, scored.rows))
    return Night(scored, checked, extend_baseline(accepted, now, scored.rows))
