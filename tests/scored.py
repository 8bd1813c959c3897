"""Three notes, four questions about them, and the command that scores these."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from eval.runs import Run
from eval.score import Row, summarise
from ui.cli import main

NOTES = {
    "animals/zebra.md": "# Zebras\n\nZebras have black and white stripes. They live in herds of twenty.\n",
    "animals/lion.md": "# Lions\n\nA lion sleeps twenty hours a day. Lions hunt at night in prides.\n",
    "plants/oak.md": "# Oaks\n\nAn oak bears acorns after forty years. Its wood is hard.\n",
}


CASES = [
    {
        "id": "z1",
        "question": "What stripes do zebras have?",
        "answer": "black and white",
        "gold_passages": [{"path": "animals/zebra.md", "quote": "Zebras have black and white stripes."}],
        "options": [{"text": "black and white stripes", "correct": True}, {"text": "blue dots", "correct": False}],
        "tags": ["single fact"],
    },
    {
        "id": "l1",
        "question": "How many hours a day does a lion sleep?",
        "answer": "twenty hours",
        "gold_docs": ["animals/lion.md"],
        "gold_sentences": ["A lion sleeps twenty hours a day ."],
    },
    {
        "id": "o1",
        "question": "When does an oak bear acorns?",
        "answer": "after forty years",
        "gold_docs": ["plants/oak.md"],
    },
    {"id": "n1", "question": "Who won the football cup in Brazil?", "answerable": False},
]


def ask(*words: str) -> Result:
    return CliRunner().invoke(main, ["eval", *words], catch_exceptions=False)


def scored(zoo: Path, *words: str) -> dict[str, Any]:
    """Run the command on the zoo's cases; return its JSON."""
    done = ask("--notes", f"{zoo}/corpus", "--cases", f"{zoo}/queries.jsonl", "--no-llm", "--json", *words)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(found["rows"]).read_text().splitlines()]


def row(case: str, value: float, suite: str = "retrieval", **facts: float) -> Row:
    return Row(suite, case, "?", ("open",), {"hit@1": value}, facts)


def a_run(name: str, started: float = 1.0) -> Run:
    rows = [row("a", 1.0)]
    return Run(name, started, 2.0, "q.jsonl", {"top_k": 6}, "h", "c0de", 3, "", summarise(rows), {"prompt_tokens": 7})
