"""What `ask status` and the web app show of the installation."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from assistant.refuse import load_calibration
from assistant.settings import AssistantSettings
from ingest import trace
from ingest.shelf import Shelf
from ui import figures
from ui.nightly import last_nights


def gather(shelf: Shelf, settings: AssistantSettings) -> dict[str, Any]:
    """Return the state of notes, index, model server and calibration, ready for JSON."""
    from assistant.llm import Absent, find

    ledger = shelf.ledger
    notes = ledger.notes().values()
    found = find(settings)
    calibration = load_calibration(shelf.model_sha256, settings.home)
    return {
        "notes": str(shelf.notes),
        "home": str(shelf.settings.home),
        "generation": ledger.generation,
        "built_with": ledger.built_with,
        "by_state": dict(sorted(Counter(note.state for note in notes).items())),
        "courses": ledger.courses(),
        "chunks": sum(note.chunks for note in notes),
        "problems": [
            {"path": note.path, "state": note.state, "reason": note.reason, "pages_lost": list(note.lost)}
            for note in notes
            if note.reason or note.lost
        ],
        "model_server": found.reason if isinstance(found, Absent) else f"{found.name} at {settings.llm_url}",
        "traces": _traces(settings),
        "calibration": calibration.measured if calibration else "",
        "runs": [asdict(run) for run in ledger.runs(5)],
        "nights": last_nights(shelf.folder, 5),
        "answers": figures.gather(settings),
    }


def _traces(settings: AssistantSettings) -> str:
    """Return where traces go, and whether they arrive; empty where tracing is off."""
    if not trace.on(settings):
        return ""
    count = len(trace.waiting(settings))
    waiting = f"; {count} wait to be sent" if count else ""
    refused = ", the last ones were not taken: check STUDY_LANGFUSE_*" if trace.failed(settings) else ""
    return f"sent to {settings.langfuse_host.rpartition('@')[2]}{waiting}{refused}"
