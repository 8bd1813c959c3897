"""Runs are kept: what was scored, with which settings, by which code, and every row, so that a figure leads back.

    STUDY_HOME/eval/runs.db          tables `runs` and `rows`; triggers refuse to change or delete
    STUDY_HOME/eval/rows/RUN.jsonl   the rows of a run, for other programs

One transaction holds a whole run: a run that was killed is not there. Its rows say what was
retrieved and shown; the row of an answer names its trace, too, where tracing is on (other suites make no answer).
"""

import errno
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import count
from pathlib import Path
from typing import Any

from assistant.database import Database
from eval.cases import write_lines
from eval.metrics import Estimate
from eval.score import Row
from ingest.errors import StudyError

MIGRATIONS = (
    """
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, started REAL NOT NULL, seconds REAL NOT NULL, cases TEXT NOT NULL, settings TEXT NOT NULL,
        settings_hash TEXT NOT NULL, code TEXT NOT NULL, generation INTEGER NOT NULL, model TEXT NOT NULL,
        scores TEXT NOT NULL, tokens TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE rows (
        run TEXT NOT NULL REFERENCES runs (id), n INTEGER NOT NULL, suite TEXT NOT NULL, case_id TEXT NOT NULL,
        row TEXT NOT NULL, PRIMARY KEY (run, n)
    ) WITHOUT ROWID;
    CREATE INDEX runs_by_cases ON runs (cases, started);
    CREATE TRIGGER runs_UPDATE BEFORE UPDATE ON runs BEGIN SELECT RAISE (ABORT, 'runs are append-only'); END;
    CREATE TRIGGER runs_DELETE BEFORE DELETE ON runs BEGIN SELECT RAISE (ABORT, 'runs are append-only'); END;
    CREATE TRIGGER rows_UPDATE BEFORE UPDATE ON rows BEGIN SELECT RAISE (ABORT, 'runs are append-only'); END;
    CREATE TRIGGER rows_DELETE BEFORE DELETE ON rows BEGIN SELECT RAISE (ABORT, 'runs are append-only'); END;
    """,
    "ALTER TABLE runs ADD COLUMN judge TEXT NOT NULL DEFAULT '{}';",
)
"""SQL that leads from each version of the file to the next. Append to it; never change what was delivered."""

PAGE = 100
"""Runs that are read at once."""
JUDGED = ("correctness", "completeness", "relevance", "faithfulness")
"""What a judge says of an answer (eval/judge.py)."""
Scores = dict[str, dict[str, Estimate]]
"""By suite and name."""


class NoSuchRun(StudyError):
    """No run has this id, or none was made yet."""

    def __init__(self, name: str) -> None:
        none = "there is no run yet; make one: ask eval --no-llm"
        super().__init__(none if name == "last" else f"there is no run {name}; `ask eval history` lists them")


class RunsUnavailable(StudyError):
    """The file of the runs can't be read or written."""


class RunsFull(RunsUnavailable):
    """The disk filled up while a run was kept; earlier runs are as they were."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the disk of {folder} is full: the run was not kept; free some space")


@dataclass(frozen=True, slots=True)
class Run:
    """One scoring of one set of cases."""

    id: str
    """Its time, and what tells two of one second apart: 20261121-061502-3fa2."""
    started: float
    """Seconds since the epoch."""
    seconds: float
    cases: str
    """Path of the file of cases: what makes runs a series."""
    settings: dict[str, Any]
    """All that can change a score, in words and numbers."""
    settings_hash: str
    code: str
    """Git commit, with + and a digest of what was changed since; without git, a digest of the program."""
    generation: int
    """Of the index."""
    model: str
    """Which model wrote the answers; empty: none did."""
    scores: Scores
    tokens: dict[str, int]
    """What the model server counted for all of it: prompt_tokens, cached_tokens, answer_tokens."""
    judge: dict[str, Estimate] = field(default_factory=dict)
    """How far the judge agrees with people (Cohen's kappa), by part; empty where nothing was judged."""

    def agreement(self, metric: str) -> str:
        """Return in words how far the judge of a score agrees with people; empty for what was not judged."""
        part = metric.removeprefix("judge_")
        if part == metric or part not in JUDGED:
            return ""
        if not (kappa := self.judge.get(part)):
            return "judge’s agreement with people: not known"
        told = f"[{kappa.low:.2f}, {kappa.high:.2f}], {kappa.n} answers"
        return f"judge’s agreement with people: kappa {kappa.value:.2f} {told}"

    def as_json(self) -> dict[str, Any]:
        """Return what `ask eval --json` prints, but for the rows."""
        suites = {suite: {name: one._asdict() for name, one in scores.items()} for suite, scores in self.scores.items()}
        about = {
            "code": self.code,
            "generation": self.generation,
            "model": self.model,
            "hash": self.settings_hash,
            "seconds": round(self.seconds, 2),
            "tokens": self.tokens,
            "judge_kappa": {name: one._asdict() for name, one in self.judge.items()},
        }
        return {"run": self.id, "settings": self.settings | about, "suites": suites}


class Runs(Database):
    """The file of the runs. Every method may raise RunsUnavailable."""

    unavailable, full = RunsUnavailable, RunsFull

    def __init__(self, home: Path) -> None:
        self._folder = home.expanduser().resolve() / "eval"
        super().__init__(self._folder / "runs.db", MIGRATIONS)

    def add(self, run: Run, rows: Sequence[Row]) -> Path:
        """Keep a run, whole; return the file of its rows.

        The file is there before the run is: a kill between the two leaves a file that nothing names, which is
        harmless, rather than a run that leads to no rows.
        """
        documents, path = [asdict(row) for row in rows], self.rows_path(run.id)
        with self.transaction() as db:
            told = {field.name: getattr(run, field.name) for field in fields(Run)}
            given = [_json(value) if isinstance(value, dict) else value for value in told.values()]
            db.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(given))})", given)
            numbered = ((run.id, n, one["suite"], one["case"], _json(one)) for n, one in enumerate(documents))
            db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", numbered)
            try:
                write_lines(path, documents)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise RunsFull(path.parent) from error
                raise RunsUnavailable(f"{path} can't be written: {error.strerror}; check its folder") from error
        return path

    def rows_path(self, run: str) -> Path:
        """Return where the rows of a run are written for other programs."""
        return self._folder / "rows" / f"{run}.jsonl"

    def last(self, limit: int, *, cases: str = "") -> list[Run]:
        """Return the last runs, newest first.

        Args:
            limit: Most runs.
            cases: Only runs of this file of cases; empty: of any.
        """
        where = "WHERE cases = ?" if cases else "WHERE ? = ''"
        query = f"SELECT * FROM runs {where} ORDER BY started DESC, id DESC LIMIT ?"
        return [_run(row) for row in self.rows(query, cases, limit)]

    def newest(self) -> Iterator[Run]:
        """Yield all runs, newest first, read as they are asked for."""
        for offset in count(0, PAGE):
            found = self.rows("SELECT * FROM runs ORDER BY started DESC, id DESC LIMIT ? OFFSET ?", PAGE, offset)
            yield from map(_run, found)
            if len(found) < PAGE:
                return

    def get(self, name: str) -> Run:
        """Return a run by its id, the beginning of it if that is enough, or 'last'.

        Raises:
            NoSuchRun: There is none, or several begin so.
        """
        if name == "last":
            found = self.last(1)
        else:
            query = "SELECT * FROM runs WHERE id = ? OR substr(id, 1, ?) = ? ORDER BY id = ? DESC LIMIT 2"
            found = [_run(row) for row in self.rows(query, name, len(name), name, name)]
        if not found or not name or (len(found) > 1 and found[0].id != name):
            raise NoSuchRun(name)
        return found[0]

    def same(self, settings_hash: str, code: str) -> Run | None:
        """Return the newest run of the same code with the same settings, if there is one."""
        query = "SELECT * FROM runs WHERE settings_hash = ? AND code = ? ORDER BY started DESC LIMIT 1"
        return next((_run(row) for row in self.rows(query, settings_hash, code)), None)

    def rows_of(self, run: str) -> list[Row]:
        """Return the rows of a run, in their order."""
        return [
            row_from(json.loads(line)) for (line,) in self.rows("SELECT row FROM rows WHERE run = ? ORDER BY n", run)
        ]


def row_from(document: dict[str, Any]) -> Row:
    """Return the row that `asdict` made this of."""
    return Row(**document | {"tags": tuple(document["tags"])})


def scores_from(document: dict[str, dict[str, Any]]) -> Scores:
    """Return scores from their JSON: each a list, or an object with value, low, high and n."""
    return {
        suite: {name: Estimate(**one) if isinstance(one, dict) else Estimate(*one) for name, one in scores.items()}
        for suite, scores in document.items()
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _run(row: Sequence[Any]) -> Run:
    told = dict(zip((field.name for field in fields(Run)), row, strict=True))
    read = {name: json.loads(told[name]) for name in ("settings", "scores", "tokens", "judge")}
    judge = {
        name: Estimate(*one) if isinstance(one, list) else Estimate(one, -1.0, 1.0, 0)  # before intervals were kept
        for name, one in read["judge"].items()
    }
    return Run(**told | read | {"scores": scores_from(read["scores"]), "judge": judge})
