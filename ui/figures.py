"""The answers' part of `ask status`: how fast and how well they came in the last 30 days."""

import time
from contextlib import closing
from typing import Any

from assistant.errors import JournalUnavailable, in_a_word
from assistant.settings import AssistantSettings

DAYS = 30


def gather(settings: AssistantSettings) -> dict[str, Any]:
    """Return the learner's figures of the last `DAYS` days, ready for JSON."""
    from assistant.figures import figures
    from assistant.journal import Journal, folder_of

    notice, since = "", time.time() - DAYS * 86400
    found = figures([])
    if (folder_of(settings) / "journal.db").exists():
        try:
            with closing(Journal.of(settings)) as journal:
                found = figures(journal.figures(since))
        except JournalUnavailable as error:
            notice = str(error)
    return {"days": DAYS, "notice": notice} | found.as_json()


def lines(found: dict[str, Any]) -> list[str]:
    """Return what `gather` found as lines for people; none where nothing was asked."""
    if found["notice"]:
        return [f"answers: {found['notice']}"]
    if not found["answers"]:
        return []
    told = [f"answers of the last {found['days']} days: {_counts(found['outcomes'])}"]
    for name, key in (
        ("first passage", "first_passage_ms"),
        ("first token", "first_token_ms"),
        ("whole answer", "total_ms"),
    ):
        if spread := found[key]:
            told.append(f"  {name:<14} half within {spread['p50']:,.0f} ms, 95% within {spread['p95']:,.0f} ms")
    if speed := found["tokens_per_s"]:
        told.append(f"  model's speed  {speed['p50']:,.0f} tokens/s (median)")
    if found["cached"] is not None:
        told.append(f"  prompt cache   {found['cached']:.0%} of the prompts' tokens")
    if found["failures"]:
        failures = {in_a_word(kind): count for kind, count in found["failures"].items()}
        told.append(f"  model server   {_counts(failures)}")
    return told


def _counts(of: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in of.items())
