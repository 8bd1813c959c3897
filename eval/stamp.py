"""What can change a score → words, numbers and digests: two runs that agree in all of it need not both be made."""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import author, check, follow, grade, prompt, retrieve
from eval import choosing
from eval import judge as judging
from eval.cases import OTHERS, UNITS

if TYPE_CHECKING:
    from eval.suite import Bench, Plan

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = (prompt, follow, author, check, grade, choosing, judging)
"""Whose words decide what a model says; all of each file counts."""
_TOLD_BY_INDEX = frozenset("embed_model chunk_tokens qdrant_url".split())
_TOLD_BY_MODEL = frozenset("llm_url llm_model".split())


def code_version() -> str:
    """Return the commit of this code, with + and a digest of what was changed or added since.

    Where there is no git, a digest of all of it.
    """
    code = [f"{room}/*.py" for room in ("ingest", "assistant", "eval")]
    try:
        commit, changed, added = (
            subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, timeout=10, check=True).stdout
            for words in (
                ["rev-parse", "--short=10", "HEAD"],
                ["diff", "HEAD", "--", *code],
                ["ls-files", "--others", "--exclude-standard", "-z", "--", *code],
            )
        )
    except (OSError, subprocess.SubprocessError):
        every = sorted(path for room in ("ingest", "assistant", "eval") for path in (ROOT / room).rglob("*.py"))
        return f"code {_digest(b''.join(path.read_bytes() for path in every))}"
    for name in sorted(filter(None, added.split(b"\0"))):
        changed += name + (ROOT / os.fsdecode(name)).read_bytes()
    return commit.decode().strip() + (f"+{_digest(changed)[:6]}" if changed else "")


def about(bench: "Bench", plan: "Plan", content: str) -> dict[str, Any]:
    """Return all that can change a score, in words and numbers; `content` tells the notes apart."""
    settings, calibration, shelf = bench.settings, bench.calibration, bench.shelf
    files = {"cases_hash": plan.cases.name, "others_hash": OTHERS, "units_hash": UNITS}
    set_ = {
        name: value
        for name, value in settings.telling.items()
        if name not in _TOLD_BY_INDEX | _TOLD_BY_MODEL and (bench.model or not name.startswith("llm_"))
    }
    return {
        "notes": str(plan.notes),
        "content": content,
        "cases": str(plan.cases),
        **{name: _digest_of(plan.cases.with_name(file)) for name, file in files.items()},
        "suites": list(bench.suites),
        "limit": plan.limit,
        "trial": plan.trial,
        "index": shelf.built_with,
        "chunk_tokens": shelf.chunk_tokens,
        "chunks": sum(note.chunks for note in shelf.ledger.notes().values()),
        **set_,
        "fusion": f"{retrieve.DENSE_WEIGHT} dense, {retrieve.FILE_WEIGHT} file, depth {retrieve.DEPTH}",
        "threshold": calibration.threshold if calibration else 0.0,
        "cosine_weight": calibration.cosine_weight if calibration else 0.0,
        "model": bench.model.name if bench.model else "",
        "context_tokens": bench.model.context_tokens if bench.model else 0,
        "prompts": _digest(b"".join(Path(str(one.__file__)).read_bytes() for one in PROMPTS)) if bench.model else "",
        "labels_hash": _digest_of(judging.GOLD) if bench.judged else "",
    }


def hash_of(told: dict[str, Any]) -> str:
    """Return the digest of what `about` told, but for where things lie and why they are scored."""
    decides = {name: value for name, value in told.items() if name not in ("notes", "cases", "trial")}
    return _digest(json.dumps(decides, sort_keys=True).encode())


def _digest_of(path: Path) -> str:
    """Return the digest of a file; empty where there is none."""
    return _digest(path.read_bytes()) if path.is_file() else ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
