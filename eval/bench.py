"""How fast, how small, how true: each figure of the design, measured beside what it is compared with.

    python -m eval.bench [--quick] [--only NAME]… [--out docs/bench.md] [--folder .cache/bench]

Prints a table in Markdown and writes it to `--out`. What takes long to make (an index of 100,000 chunks) is kept
in `--folder`. STUDY_EVALDATA, where it is set, names the notes that sentences are taken from; else ours are.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from eval.bench_ask import cold_answer, first_token, help_text, retrieval, while_syncing
from eval.bench_measure import FULL, QUICK, Place, Row, prepare
from eval.bench_pdf import pdf_text
from eval.bench_sync import embedding, syncing, truncation
from eval.bench_web import web

ROOT = Path(__file__).resolve().parent.parent
BENCHES: dict[str, Callable[[Place], Iterator[Row]]] = {
    "help": help_text,
    "ask": cold_answer,
    "retrieval": retrieval,
    "sync": syncing,
    "embedding": embedding,
    "during": while_syncing,
    "first-token": first_token,
    "truncation": truncation,
    "pdf": pdf_text,
    "web": web,
}
_FLAGS = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512f", "avx2")
_PACKAGES = (
    "llama-index-core",
    "sentence-transformers",
    "torch",
    "openvino",
    "onnxruntime",
    "qdrant-edge-py",
    "qdrant-client",
    "pypdf",
    "pypdfium2",
)


def machine() -> str:
    """Return one line on what it was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model, flags = platform.processor() or platform.machine(), ""
    if Path("/proc/cpuinfo").is_file():
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        told = {name.strip(): value.strip() for name, _, value in lines}
        model = told.get("model name", model)
        flags = ", ".join(flag for flag in _FLAGS if flag in told.get("flags", "").split())
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{model}, {cores} cores ({flags or 'no vector flags known'}), {memory:.0f} GiB{load}"


def table(rows: Sequence[Row], place: Place, notes: str, took: float) -> str:
    """Return the page: facts, then the rows."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    lines = [
        "# Bench",
        "",
        "Made by `make bench`. Each row compares what ran in turns on the same machine; a ratio is the median of the",
        "turns' ratios, times are medians with least and most. Theirs: a plain llama-index script with",
        "sentence-transformers and Qdrant's local mode (`eval/bench_llamaindex.py`).",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {took / 60:.1f} minutes; {place.sizes.runs} turns",
        f"- {machine()}",
        f"- Python {platform.python_version()} on {platform.system()}; {versions}",
        f"- {notes}",
        "",
        "| what | ours | theirs | ratio | target | met |",
        "|---|---|---|---|---|---|",
        *map(str, rows),
    ]
    return "\n".join(lines) + "\n"


def measure(place: Place, names: Sequence[str]) -> Iterator[Row]:
    """Yield rows as they are known; what fails becomes a row that says so."""
    for name in names:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        try:
            yield from BENCHES[name](place)
        except Exception as error:  # one bench that breaks must not cost the others
            what = str(error).strip().split("\n")[-1]
            yield Row(name, f"failed: {type(error).__name__}: {what}".replace("|", "\\|"), "", "", "", False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return 1 where a figure is not reached."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the figures of the design.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it work at all?")
    parser.add_argument("--only", action="append", choices=BENCHES, help="measure only this; may be repeated")
    parser.add_argument("--out", type=Path, default=None, help="where the table is written (docs/bench.md)")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "bench", help="where things are made")
    chosen = parser.parse_args(arguments)
    started = time.time()
    place = prepare(chosen.folder / ("quick" if chosen.quick else "full"), QUICK if chosen.quick else FULL)
    rows = []
    for row in measure(place, chosen.only or list(BENCHES)):
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    source = "STUDY_EVALDATA" if os.environ.get("STUDY_EVALDATA") else "our own corpus/"
    page = table(rows, place, f"notes: new ones made from the sentences of {source}", time.time() - started)
    print(page, end="")
    out = chosen.out or (None if chosen.quick or chosen.only else ROOT / "docs" / "bench.md")
    if out:
        out.write_text(page, encoding="utf-8")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
