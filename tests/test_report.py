import re
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from eval.report import page
from eval.runs import Run, Runs
from eval.score import Row, summarise
from ui.cli import main


def some_rows() -> list[Row]:
    return [
        *(
            Row(
                "retrieval",
                f"r{i}",
                "Which <b>port</b>?",
                ("table" if i % 2 else "code",),
                {"ndcg@10": i / 10},
                ms=9.0 + i,
            )
            for i in range(10)
        ),
        *(
            Row(
                "refusal",
                f"f{i}",
                "?",
                ("open",),
                {"false_refusal": 0.0} if i % 2 else {"false_answer": 1.0},
                {"evidence": i / 10, "answerable": float(i % 2), "wrong": float(not i % 2)},
                {"answered": i > 3, "threshold": 0.35},
                5.0,
            )
            for i in range(10)
        ),
    ]


def some_run(name: str, started: float) -> Run:
    settings = {"model": "<script>alert(1)</script>"}
    return Run(name, started, 2.0, "/x/q.jsonl", settings, "h", "c0de", 3, "", summarise(some_rows()), {})


def test_the_page_holds_everything_and_loads_nothing() -> None:
    text = page(some_run("r2", 2e9), some_rows(), [some_run("r2", 2e9), some_run("r1", 1e9)])
    assert text.count("<svg") == 5 + 1 + 2 + 2  # scores over time, kinds of question, times, thresholds
    assert "<script" not in text
    assert "Which <b>" not in text
    assert "Which &lt;b&gt;port" in text
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", text.replace("xlink:href", "href"))
    assert "of them wrong" in text
    assert "retrieval ndcg@10" in text


def test_one_run_alone_has_no_trend_and_a_sweep_is_none() -> None:
    trial = replace(some_run("r0", 1e8), settings={"trial": True})
    few = replace(some_run("r0", 1e8), settings={"limit": 5})
    assert "Over time" not in page(some_run("r1", 1e9), some_rows(), [some_run("r1", 1e9), trial, few])
    assert "Over time" not in page(some_run("r1", 1e9), some_rows(), [some_run("r1", 1e9)])


def test_the_command_writes_the_page_beside_the_rows(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "home")
    runs.add(some_run("r1", 1e9), some_rows())
    runs.close()
    done = CliRunner().invoke(main, ["eval", "report", "r1"], catch_exceptions=False)
    path = Path(done.output.strip())
    assert path == (tmp_path / "home" / "eval" / "rows" / "r1.html").resolve()
    assert path.read_text().startswith("<!doctype html>")


def test_a_trend_of_answers_is_of_one_model() -> None:
    rows = [Row("answer", str(i), "?", ("open",), {"token_f1": i / 10}) for i in range(10)]
    runs = [
        replace(some_run(f"r{i}", 1e9 + i), model=model, scores=summarise(rows))
        for i, model in enumerate(["", "tiny", "tiny"])
    ]
    assert "answer token_f1" in page(runs[2], rows, runs[::-1])
    assert "Over time" not in page(runs[1], rows, runs[1::-1])


def test_three_cases_that_did_well_have_no_worst_and_no_false_curves() -> None:
    rows = [
        Row("refusal", str(i), "?", ("open",), {"false_refusal": 0.0}, facts, {"threshold": 0.5, "answered": True}, 4.0)
        for i, facts in enumerate([{"evidence": 0.6 + i / 10, "answerable": 1.0, "wrong": 0.0} for i in range(3)])
    ]
    rows.append(Row("quiz", "a.md", "Is anything asked of a.md?", ("note",), {"covered": 1.0}))
    text = page(replace(some_run("r1", 1e9), scores=summarise(rows)), rows, [])
    assert text.count("No case did badly.") == 2
    assert text.count("<details>") == 0
    assert "0.000 – 0.561" in text  # no refusal of three proves little
    assert text.count("<svg") == 3  # both curves and the times; a note takes none
    assert "4 ms at the median, 4 ms at the 95th percentile" in text
