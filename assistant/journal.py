"""The journal: what a learner asked, what was answered, and whether it was right. Nothing in it is ever changed.

One SQLite file a learner, `STUDY_HOME/learners/NAME/journal.db`. Each answer is kept whole, as `ask --json` prints
it, so that it can be shown again with the same citations after the notes have changed. Reviews and quiz items are
tables of the same file: whoever needs a table appends its SQL to `MIGRATIONS`, and reads and writes it by
`Journal.rows` and `Journal.transaction`.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

from assistant.database import Database, storable
from assistant.errors import JournalFull, JournalUnavailable, LearnerAlike, NoSuchAnswer, NoSuchConversation
from assistant.settings import AssistantSettings
from ingest import trace

MIGRATIONS = (
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY AUTOINCREMENT, started REAL NOT NULL, title TEXT NOT NULL, course TEXT NOT NULL
    );
    CREATE TABLE answers (
        id INTEGER PRIMARY KEY AUTOINCREMENT, conversation INTEGER REFERENCES conversations (id),
        asked REAL NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, course TEXT NOT NULL,
        outcome TEXT NOT NULL, model TEXT, generation INTEGER NOT NULL, settings TEXT NOT NULL, trace TEXT NOT NULL,
        failure TEXT NOT NULL, timings_ms TEXT NOT NULL, usage TEXT NOT NULL, document TEXT NOT NULL
    );
    CREATE INDEX answers_asked ON answers (asked);
    CREATE INDEX answers_conversation ON answers (conversation);
    CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT, answer INTEGER NOT NULL REFERENCES answers (id),
        given REAL NOT NULL, good INTEGER NOT NULL, wrong TEXT NOT NULL, note TEXT NOT NULL
    );
    CREATE INDEX feedback_answer ON feedback (answer);
    CREATE VIRTUAL TABLE answers_words USING fts5 (
        question, answer, content='answers', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2'
    );
    CREATE TRIGGER answers_added AFTER INSERT ON answers BEGIN
        INSERT INTO answers_words (rowid, question, answer) VALUES (new.id, new.question, new.answer);
    END;
    CREATE TRIGGER answers_stay BEFORE UPDATE ON answers BEGIN SELECT RAISE (ABORT, 'answers stay as they are'); END;
    CREATE TRIGGER answers_last BEFORE DELETE ON answers BEGIN SELECT RAISE (ABORT, 'answers stay'); END;
    CREATE TRIGGER feedback_stays BEFORE UPDATE ON feedback BEGIN SELECT RAISE (ABORT, 'feedback stays'); END;
    CREATE TRIGGER feedback_lasts BEFORE DELETE ON feedback BEGIN SELECT RAISE (ABORT, 'feedback stays'); END;
    """,
    """
    CREATE TABLE reviews (
        n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, item TEXT NOT NULL, at REAL NOT NULL,
        rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 4), correct INTEGER, given TEXT NOT NULL,
        graded_by TEXT NOT NULL, why TEXT NOT NULL, took_ms INTEGER NOT NULL, source TEXT NOT NULL,
        kind TEXT NOT NULL, question TEXT NOT NULL, objective TEXT NOT NULL, path TEXT NOT NULL
    );
    CREATE INDEX reviews_item ON reviews (item);
    CREATE TABLE corrections (
        id INTEGER PRIMARY KEY AUTOINCREMENT, review TEXT NOT NULL REFERENCES reviews (id), at REAL NOT NULL,
        rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 4), correct INTEGER, why TEXT NOT NULL
    );
    CREATE INDEX corrections_review ON corrections (review);
    CREATE TABLE fits (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, parameters TEXT NOT NULL, reviews INTEGER NOT NULL
    );
    CREATE TRIGGER reviews_stay BEFORE UPDATE ON reviews BEGIN SELECT RAISE (ABORT, 'reviews stay as they are'); END;
    CREATE TRIGGER reviews_last BEFORE DELETE ON reviews BEGIN SELECT RAISE (ABORT, 'reviews stay'); END;
    CREATE TRIGGER corrections_stay BEFORE UPDATE ON corrections
        BEGIN SELECT RAISE (ABORT, 'corrections stay as they are'); END;
    CREATE TRIGGER corrections_last BEFORE DELETE ON corrections BEGIN SELECT RAISE (ABORT, 'corrections stay'); END;
    """,
    """
    CREATE TABLE decisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, plan TEXT NOT NULL, what TEXT NOT NULL,
        value TEXT NOT NULL
    );
    CREATE INDEX decisions_plan ON decisions (plan);
    CREATE TABLE certificates (
        n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL,
        state TEXT NOT NULL, day TEXT, expires TEXT
    );
    CREATE TABLE exams (
        id TEXT PRIMARY KEY, begun REAL NOT NULL, plan TEXT NOT NULL, title TEXT NOT NULL, minutes REAL NOT NULL,
        domains TEXT NOT NULL, questions TEXT NOT NULL
    );
    CREATE TABLE exam_ends (exam TEXT PRIMARY KEY REFERENCES exams (id), at REAL NOT NULL, why TEXT NOT NULL);
    CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions BEGIN SELECT RAISE (ABORT, 'decisions stay'); END;
    CREATE TRIGGER decisions_last BEFORE DELETE ON decisions BEGIN SELECT RAISE (ABORT, 'decisions stay'); END;
    CREATE TRIGGER certificates_stay BEFORE UPDATE ON certificates
        BEGIN SELECT RAISE (ABORT, 'certificates stay'); END;
    CREATE TRIGGER certificates_last BEFORE DELETE ON certificates
        BEGIN SELECT RAISE (ABORT, 'certificates stay'); END;
    CREATE TRIGGER exams_stay BEFORE UPDATE ON exams BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    CREATE TRIGGER exams_last BEFORE DELETE ON exams BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    CREATE TRIGGER exam_ends_stay BEFORE UPDATE ON exam_ends BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    CREATE TRIGGER exam_ends_last BEFORE DELETE ON exam_ends BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    """,
    """
    ALTER TABLE answers ADD COLUMN made TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE removals (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,
        conversation INTEGER NOT NULL REFERENCES conversations (id), removed INTEGER NOT NULL
    );
    CREATE TRIGGER removals_stay BEFORE UPDATE ON removals BEGIN SELECT RAISE (ABORT, 'removals stay'); END;
    CREATE TRIGGER removals_last BEFORE DELETE ON removals BEGIN SELECT RAISE (ABORT, 'removals stay'); END;
    """,
    """
    CREATE TABLE exam_laps (
        n INTEGER PRIMARY KEY AUTOINCREMENT, exam TEXT NOT NULL REFERENCES exams (id), question INTEGER NOT NULL,
        took_ms INTEGER NOT NULL, put_off INTEGER NOT NULL
    );
    CREATE INDEX exam_laps_exam ON exam_laps (exam);
    CREATE TABLE unanswered (
        n INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL, at REAL NOT NULL,
        exam TEXT NOT NULL REFERENCES exams (id)
    );
    CREATE TRIGGER exam_laps_stay BEFORE UPDATE ON exam_laps BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    CREATE TRIGGER exam_laps_last BEFORE DELETE ON exam_laps BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    CREATE TRIGGER unanswered_stay BEFORE UPDATE ON unanswered BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    CREATE TRIGGER unanswered_last BEFORE DELETE ON unanswered BEGIN SELECT RAISE (ABORT, 'exams stay'); END;
    """,
)
"""SQL that leads from each version of the file to the next. Append to it; never change what was delivered."""
Score = Callable[[str, str, float, str], None]
"""Takes a trace, the score's name, its value and a comment."""
_KEPT = (
    "SELECT id, coalesce(conversation, 0), asked, course, question, outcome, model, generation, settings, trace, "
    "failure, timings_ms, usage, document FROM answers"
)
_REMOVED = (
    "SELECT conversation FROM removals WHERE id IN (SELECT max(id) FROM removals GROUP BY conversation) AND removed"
)
_IN_HISTORY = f"coalesce(conversation, 0) NOT IN ({_REMOVED})"


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer as it was given."""

    id: int
    conversation: int
    """0: it was asked by itself."""
    asked: float
    """Seconds since the epoch."""
    course: str
    """Where the search stayed; empty: everywhere."""
    question: str
    outcome: str
    """answered, quoted or not_in_notes."""
    model: str | None
    generation: int
    """Of the index that was searched."""
    settings: str
    """Digest of the settings in force (`AssistantSettings.digest`)."""
    trace: str
    """Id of its trace; empty where it was not traced."""
    failure: str
    """What went wrong, by the error's name (ServerStalled); empty where nothing did."""
    timings_ms: dict[str, float]
    usage: dict[str, int]
    document: dict[str, Any]
    """The whole answer, as `ask --json` printed it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an answer took, without the answer."""

    asked: float
    """Seconds since the epoch."""
    outcome: str
    model: str | None
    failure: str
    timings_ms: dict[str, float]
    usage: dict[str, int]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Answers that follow each other."""

    id: int
    started: float
    """Seconds since the epoch."""
    last: float
    """When its last question was asked."""
    title: str
    course: str
    """Sub-folder of the notes that it stays in; empty: all."""
    answers: int
    """How many."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the learner thought of an answer."""

    id: int
    answer: int
    given: float
    """Seconds since the epoch."""
    good: bool
    wrong: str
    """What was wrong, in the learner's words; often empty."""
    note: str
    """The note that has the right answer; often empty."""


class Journal(Database):
    """One learner's journal; safe to use from several threads, and beside other processes.

    Every method may raise JournalUnavailable: another program holds the file, or it can't be read or written.
    """

    unavailable, full = JournalUnavailable, JournalFull

    def __init__(self, folder: Path, *, score: Score | None = None) -> None:
        """Open the journal, or make it.

        Args:
            folder: Of the learner.
            score: Told what was thought of an answer that was traced.
        """
        super().__init__(folder / "journal.db", MIGRATIONS)
        self._score = score

    @classmethod
    def of(cls, settings: AssistantSettings) -> "Journal":
        """Return the journal of the learner that the settings name."""
        return cls(folder_of(settings), score=partial(trace.score, settings))

    # ---------------------------------------------------------------------------------------------- asked, answered

    def asked(
        self,
        document: Mapping[str, Any],
        *,
        conversation: int = 0,
        course: str = "",
        generation: int = 0,
        settings: str = "",
        trace: str = "",
        failure: str = "",
        asked: float | None = None,
        made: Mapping[str, Any] | None = None,
    ) -> int:
        """Keep an answer; return its id.

        Args:
            document: The whole answer (`Answer.as_json`).
            conversation: Of which it is a part; 0: none.
            course: Where the search stayed.
            generation: Of the index that was searched.
            settings: Their digest.
            trace: Id of its trace.
            failure: What went wrong, by the error's name.
            asked: When, in seconds since the epoch; None: now.
            made: How it came about (`assistant.explain`); None: that is not known.
        """
        row = (
            conversation or None,
            time.time() if asked is None else asked,
            storable(document["question"]),
            storable(document["answer"]),
            course,
            document["outcome"],
            document["model"],
            generation,
            settings,
            trace,
            failure,
            _json(document["timings_ms"]),
            _json(document["usage"]),
            _json(document),
            _json(made or {}),
        )
        with self.transaction() as db:
            return int(
                db.execute(
                    "INSERT INTO answers (conversation, asked, question, answer, course, outcome, model, generation, "
                    "settings, trace, failure, timings_ms, usage, document, made) "
                    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    row,
                ).lastrowid
                or 0
            )

    def answer(self, id_: int) -> Kept | None:
        """Return one answer, or None."""
        return next(map(_kept, self.rows(f"{_KEPT} WHERE id = ?", id_)), None)

    def made(self, id_: int) -> dict[str, Any]:
        """Return how an answer came about (`assistant.explain`); empty where that is not known."""
        for (made,) in self.rows("SELECT made FROM answers WHERE id = ?", id_):
            return dict(json.loads(made))
        return {}

    def last(self) -> Kept | None:
        """Return the answer that was given last, or None."""
        return next(map(_kept, self.rows(f"{_KEPT} ORDER BY id DESC LIMIT 1")), None)

    def questions(self, limit: int) -> list[str]:
        """Return what was asked last, newest first."""
        return [row[0] for row in self.rows("SELECT question FROM answers ORDER BY id DESC LIMIT ?", limit)]

    def search(self, text: str, limit: int = 50) -> list[Kept]:
        """Return the answers of the history in which every word of `text` stands, best first.

        The last word may be unfinished. Words are found by their stem; where none is, as they are typed.
        """
        words = re.findall(r"\w+", text)
        if not words:
            return []
        query = " ".join(f'"{word}"' for word in words) + "*"
        stems = "SELECT rowid AS found, rank AS far FROM answers_words WHERE answers_words MATCH ?"
        joined = f"{_KEPT} JOIN ({stems}) ON found = id WHERE {_IN_HISTORY} ORDER BY far, id DESC LIMIT ?"
        if found := self.rows(joined, query, limit):
            return list(map(_kept, found))
        typed = " AND ".join(["instr(lower(question || ' ' || answer), ?)"] * len(words))
        lower = [word.lower() for word in words]
        return list(
            map(_kept, self.rows(f"{_KEPT} WHERE {typed} AND {_IN_HISTORY} ORDER BY id DESC LIMIT ?", *lower, limit))
        )

    def since(self, moment: float) -> list[Kept]:
        """Return the answers to what was asked at that time (seconds since the epoch) or later, oldest first."""
        return list(map(_kept, self.rows(f"{_KEPT} WHERE asked >= ? ORDER BY id", moment)))

    def figures(self, since: float) -> list[Measured]:
        """Return what answers took, asked at that time (seconds since the epoch) or later, oldest first."""
        rows = self.rows(
            "SELECT asked, outcome, model, failure, timings_ms, usage FROM answers WHERE asked >= ? ORDER BY id", since
        )
        return [
            Measured(asked, outcome, model, failure, json.loads(timings), json.loads(usage))
            for asked, outcome, model, failure, timings, usage in rows
        ]

    # -------------------------------------------------------------------------------------------- conversations

    def start(self, title: str, *, course: str = "") -> int:
        """Begin a conversation; return its id."""
        with self.transaction() as db:
            row = (time.time(), storable(title), course)
            return int(
                db.execute("INSERT INTO conversations (started, title, course) VALUES (?, ?, ?)", row).lastrowid or 0
            )

    def conversations(self, limit: int = 100) -> list[Conversation]:
        """Return the conversations of the history in which something was answered, the one last spoken in first.

        At most `limit`; all if that is -1.
        """
        return [
            Conversation(*row)
            for row in self.rows(
                "SELECT c.id, c.started, max(a.asked) AS last, c.title, c.course, count(a.id) "
                f"FROM conversations c JOIN answers a ON a.conversation = c.id WHERE c.id NOT IN ({_REMOVED}) "
                "GROUP BY c.id ORDER BY last DESC, c.id DESC LIMIT ?",
                limit,
            )
        ]

    def resumed(self, id_: int = 0) -> Conversation:
        """Return one conversation; 0: the one that was last spoken in.

        Raises:
            NoSuchConversation: It is not there.
        """
        found = next((talk for talk in self.conversations(1 if not id_ else -1) if id_ in (0, talk.id)), None)
        if found is None:
            raise NoSuchConversation(id_)
        return found

    def conversation(self, id_: int) -> list[Kept]:
        """Return a conversation's answers, oldest first; none where there is no such conversation in the history."""
        return list(map(_kept, self.rows(f"{_KEPT} WHERE conversation = ? AND {_IN_HISTORY} ORDER BY id", id_)))

    def remove(self, conversation: int, removed: bool = True) -> None:
        """Take a conversation out of the history, or put it back; its answers stay, as all that was counted by them.

        Raises:
            NoSuchConversation: It is not there.
        """
        with self.transaction() as db:
            if not db.execute("SELECT 1 FROM conversations WHERE id = ?", (conversation,)).fetchone():
                raise NoSuchConversation(conversation)
            row = (time.time(), conversation, removed)
            db.execute("INSERT INTO removals (at, conversation, removed) VALUES (?, ?, ?)", row)

    # ------------------------------------------------------------------------------------------------- feedback

    def feedback(self, answer: int, good: bool, wrong: str = "", note: str = "") -> int:
        """Keep what the learner thought of an answer; return the feedback's id. The last one counts.

        Raises:
            NoSuchAnswer: It is not in the journal.
        """
        with self.transaction() as db:
            found = db.execute("SELECT trace FROM answers WHERE id = ?", (answer,)).fetchone()
            if not found:
                raise NoSuchAnswer(answer)
            row = (answer, time.time(), good, storable(wrong), storable(note))
            added = db.execute("INSERT INTO feedback (answer, given, good, wrong, note) VALUES (?,?,?,?,?)", row)
        if self._score and found[0]:
            with contextlib.suppress(OSError):  # it is in the journal, which is what counts
                self._score(found[0], "thumb", float(good), wrong)
        return added.lastrowid or 0

    def feedbacks(self, answer: int = 0) -> list[Feedback]:
        """Return what was thought of one answer, or of all (0), oldest first."""
        rows = self.rows(
            "SELECT id, answer, given, good, wrong, note FROM feedback WHERE ? IN (0, answer) ORDER BY id", answer
        )
        return [Feedback(id_, of, given, bool(good), wrong, note) for id_, of, given, good, wrong, note in rows]


def folder_of(settings: AssistantSettings) -> Path:
    """Return the folder of the learner that the settings name.

    Raises:
        LearnerAlike: There is one whose name differs in capitals alone: on some disks that is the same folder.
    """
    every, name = settings.home.expanduser().resolve() / "learners", settings.learner
    there = [path.name for path in every.iterdir()] if every.is_dir() else []
    if name not in there:
        for other in there:
            if normalize("NFC", other) == name:
                return every / other
            if normalize("NFC", other).casefold() == name.casefold():
                raise LearnerAlike(name, other)
    return every / name


def learners_in(home: Path) -> list[str]:
    """Return the names of those who keep a journal in an installation."""
    found = (home.expanduser() / "learners").glob("*/journal.db")
    return sorted({normalize("NFC", path.parent.name) for path in found})


def _kept(row: tuple[Any, ...]) -> Kept:
    return Kept(*row[:11], *(json.loads(value) for value in row[11:]))


def _json(value: Any) -> str:
    return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
