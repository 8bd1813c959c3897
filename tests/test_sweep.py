import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from assistant.settings import AssistantSettings
from eval.runs import Run, Runs
from eval.score import Row, summarise
from eval.suite import Scored
from eval.sweep import BadSweep, Tried, combinations, judge
from ui.cli import main


def tried(name: str, hits: int, words: float, of: int = 200) -> Tried:
    values = [{"shown": float(i < hits), "words_shown": words} for i in range(of)]
    rows = tuple(Row("retrieval", str(i), "?", (), value) for i, value in enumerate(values))
    run = Run(name, 1.0, 1.0, "q", {}, "h", "c", 1, "", summarise(rows), {})
    return Tried({"top_k": name}, Scored(run, rows), again=False)


def test_the_cheapest_that_is_not_worse_wins() -> None:
    small, middle, large = tried("1", 120, 90), tried("3", 188, 270), tried("9", 190, 800)
    result = judge([small, middle, large], "retrieval", "shown")
    assert result.best is large
    assert result.not_worse == (middle, large)  # the small one is worse, the difference of 1 % may be chance
    assert [one and one.verdict for one in result.against] == ["worse", "no difference shown", None]
    with pytest.raises(BadSweep, match="neither more nor less is better"):
        judge([small, large], "retrieval", "words_shown")
    with pytest.raises(BadSweep, match="there are: shown, words_shown"):
        judge([small], "retrieval", "shine")


def test_too_few_cases_do_not_make_a_cheaper_setting_good_enough() -> None:
    result = judge([tried("1", 1, 90, of=3), tried("9", 3, 800, of=3)], "retrieval", "shown")
    assert [one.values for one in result.not_worse] == [{"top_k": "9"}]
    assert result.too_few == 3


def test_a_chunk_size_that_the_model_can_not_read_is_named_and_made_once(
    settings: AssistantSettings, tmp_path: Path
) -> None:
    (settings.notes / "zebra.md").write_text("# The zebra\n\nThe zebra eats what a zebra eats, every day.\n")
    cases = tmp_path / "queries.jsonl"
    cases.write_text('{"id": "1", "question": "What does the zebra eat?", "gold_docs": ["zebra.md"]}\n')
    what = ["eval", "sweep", "--notes", str(settings.notes), "--cases", str(cases), "--no-llm"]
    done = CliRunner().invoke(main, [*what, "--set", "chunk_tokens=128,254,512"], catch_exceptions=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("chunk_tokens")]
    assert lines[2].startswith("chunk_tokens=512 (made: 254, all that is read)")
    assert lines[2].endswith("(kept from before)")
    assert "too few to say" in done.output


def test_every_combination_is_tried_and_mistakes_are_named() -> None:
    found = combinations(["chunk_tokens=64,128", "top_k=3"], AssistantSettings())
    assert [values for values, _ in found] == [
        {"chunk_tokens": "64", "top_k": "3"},
        {"chunk_tokens": "128", "top_k": "3"},
    ]
    assert [(settings.chunk_tokens, settings.top_k) for _, settings in found] == [(64, 3), (128, 3)]
    for bad in ("chunk_token=64", "top_k", "top_k="):
        with pytest.raises(BadSweep, match="NAME=VALUE"):
            combinations([bad], AssistantSettings())
    with pytest.raises(BadSweep, match="top_k: Input should be less than or equal to 50"):
        combinations(["top_k=3,500"], AssistantSettings())


def test_a_sweep_goes_on_where_it_was_broken_off(settings: AssistantSettings, tmp_path: Path) -> None:
    for name in ("zebra", "lion"):
        (settings.notes / f"{name}.md").write_text(f"# The {name}\n\nThe {name} eats what a {name} eats, every day.\n")
    cases = tmp_path / "queries.jsonl"
    cases.write_text('{"id": "1", "question": "What does the zebra eat?", "gold_docs": ["zebra.md"]}\n')
    what = ["eval", "sweep", "--notes", str(settings.notes), "--cases", str(cases), "--no-llm"]
    first = CliRunner().invoke(main, [*what, "--set", "top_k=1"], catch_exceptions=False)
    assert "top_k=1" in first.output
    assert "kept from before" not in first.output
    both = CliRunner().invoke(main, [*what, "--set", "top_k=1,2"], catch_exceptions=False)
    assert both.output.count("kept from before") == 1
    assert "the cheapest that is not shown to be worse: top_k=1" in both.output
    told = json.loads(CliRunner().invoke(main, [*what, "--set", "top_k=1,2", "--json"]).stdout)
    assert [one["set"] for one in told["tried"]] == [{"top_k": "1"}, {"top_k": "2"}]
    assert told["cheapest"] == {"top_k": "1"}
    assert len(Runs(settings.home).last(9)) == 2
    bad = CliRunner().invoke(main, [*what, "--set", "top_k=1", "--by", "shown"])
    assert (bad.exit_code, "--by wants a suite and a score" in bad.output) == (2, True)
