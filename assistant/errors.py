"""Everything that can go wrong between a question and its answer.

StudyError                  (ingest.errors)
├── QuestionRejected        an empty or endless question
├── NoSuchCourse            a course that no note belongs to
├── NoSuchPlan              no plan has that name
├── NoSuchMilestone         a plan has no milestone and no lab of that name
├── NoSuchObjective         a plan has no objective of that name
├── NoSuchCertificate       a certificate that was never spoken of
├── NoExam                  no exam to go on with, or to show
├── NoSuchMiss              a number that no wrong answer of an exam has
├── ExamOver                its time is up, or every question was answered
├── TooFewItems             the notes give too few questions for an exam
├── LearnerAlike            a learner whose name differs from another's in capitals alone
├── BlueprintRejected       a plan's file that does not keep to the format
├── JournalUnavailable      the learner's journal is locked, damaged or of a newer version of this program
│   └── JournalFull         no room on its disk
├── NoSuchAnswer            an answer that is not in the journal
├── NoSuchConversation      a conversation that is not in it
├── NotCovered              a topic that the notes say too little about to ask questions
├── ItemsUnavailable        the file of the quiz items is locked, damaged or of a newer version of this program
│   └── ItemsFull           no room on its disk
├── DeckUnreadable          a file of questions that can't be read
├── ClockWrong              the clock is behind the last review, or far ahead of it
├── NotEnoughReviews        too few reviews to fit the schedule to
├── OptimizerMissing        what fits the schedule is not installed
└── ServerError             the model server, or what it sent; keeps the text that had come until then
    ├── ServerUnreachable   bad address, unknown name, nothing listens, TLS fails
    ├── ServerRefused       401 or 403: the API key
    ├── ModelMissing        404: no such model, or no such path
    ├── ServerBusy          429 or 503, after the retries that are safe
    ├── ServerFailed        any other status that is not 200, a redirect among them
    ├── ServerStalled       silence: before the first token, or in mid-answer
    ├── ContextOverflow     the prompt and the answer do not fit the model's context
    ├── AnswerCut           the connection ended before the answer did
    ├── AnswerJunk          what came is not the OpenAI protocol
    ├── AnswerEmpty         the answer ended without a word
    ├── AnswerEndless       the model repeats itself, or ignores its limit
    └── AnswerUnparsable    JSON was asked for, and this is not it
"""

import sys
from datetime import datetime
from pathlib import Path

from ingest.errors import StudyError

STOPPED = "Stopped"
"""Stands where the name of an error would, where the reader stopped an answer: nothing went wrong."""


_IN_A_WORD = {
    "ServerUnreachable": "unreachable",
    "ServerRefused": "key refused",
    "ModelMissing": "model missing",
    "ServerBusy": "busy",
    "ServerFailed": "failed",
    "ServerStalled": "silent",
    "ContextOverflow": "prompt too long",
    "AnswerCut": "broken off",
    "AnswerJunk": "unreadable",
    "AnswerEmpty": "empty",
    "AnswerEndless": "endless",
    "AnswerUnparsable": "no JSON",
}


def in_a_word(kind: str) -> str:
    """Return for people what a failure of the model server was that is kept by its error's name."""
    return _IN_A_WORD.get(kind, kind)


class QuestionRejected(StudyError):
    """The question can't be asked as it is."""


class NoSuchCourse(StudyError):
    """No indexed note is in that sub-folder."""

    def __init__(self, name: str, courses: list[str]) -> None:
        there = ", ".join(courses) or "none: the notes have no sub-folders"
        super().__init__(f"no note belongs to a course {name}; courses: {there}")


class NoSuchPlan(StudyError):
    """No plan has that name or path."""

    def __init__(self, name: str, plans: list[str]) -> None:
        super().__init__(f"there is no plan {name}; plans: {', '.join(plans)}, or the path of a .yaml file of yours")


class NoSuchMilestone(StudyError):
    """A plan has no milestone and no lab of that name."""

    def __init__(self, plan: str, name: str, names: list[str]) -> None:
        super().__init__(f"{plan} has no milestone or lab {name}; it has {', '.join(names) or 'none'}")


class NoSuchObjective(StudyError):
    """A plan has no objective of that name."""

    def __init__(self, plan: str, name: str) -> None:
        super().__init__(f"{plan} has no objective {name}; see: ask plan {plan}")


class NoSuchCertificate(StudyError):
    """A certificate that the learner never spoke of."""

    def __init__(self, name: str, names: list[str]) -> None:
        super().__init__(f"there is no certificate {name}; yours: {', '.join(names) or 'none yet'}")


class NoExam(StudyError):
    """There is no exam to go on with, or to show."""

    def __init__(self, plan: str, lacking: str) -> None:
        of = f" of {plan}" if plan else ""
        super().__init__(f"no exam{of} was {lacking}; begin one: ask exam --plan {plan or 'NAME'}")


class NoSuchMiss(StudyError):
    """No wrong answer of an exam has that number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"no wrong answer of the last exam has the number {number}; see: ask exam --last")


class ExamOver(StudyError):
    """The exam takes no answer any more."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; the exam takes no answer any more")


class TooFewItems(StudyError):
    """The notes give too few questions for an exam."""

    def __init__(self, plan: str, domains: list[str]) -> None:
        super().__init__(
            f"your notes give no questions for {', '.join(domains)}, so there can be no exam of {plan}; "
            "add notes on these, and run: ask ingest"
        )


class LearnerAlike(StudyError):
    """A learner's name differs from another's in capitals alone."""

    def __init__(self, name: str, other: str) -> None:
        super().__init__(
            f"{other} keeps a journal here, and {name} differs in capitals alone, which some disks can't tell apart; "
            f"set STUDY_LEARNER={other}, or choose another name"
        )


class BlueprintRejected(StudyError):
    """A plan's file can't be used; says where and why."""

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}" if line else f"{path}: {problem}")


class JournalUnavailable(StudyError):
    """The journal can't be read or written; an answer is shown all the same."""


class JournalFull(JournalUnavailable):
    """The disk filled up while something was written; what the journal had, it has."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the disk of {folder} is full: nothing was added to the journal; free some space")


class NoSuchAnswer(StudyError):
    """No answer of that number was kept."""

    def __init__(self, id_: int) -> None:
        super().__init__(f"there is no answer {id_} in the journal" if id_ else "nothing was asked yet")


class NoSuchConversation(StudyError):
    """No conversation of that number was kept."""

    def __init__(self, id_: int) -> None:
        what = f"no conversation {id_}" if id_ else "no conversation yet"
        super().__init__(f"the journal has {what}; see: ask chat --list")


class NotCovered(StudyError):
    """The notes don't say enough about a topic."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"your notes don't say enough about {topic} to ask questions; name another topic, or none")


class ItemsUnavailable(StudyError):
    """The quiz items can't be read or written."""


class ItemsFull(ItemsUnavailable):
    """The disk filled up while items were kept; what was there is there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the disk of {folder} is full: no item was kept; free some space")


class DeckUnreadable(StudyError):
    """No questions can be read from a file."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} can't be imported: {why}; give GIFT, Anki's text export, CSV with a head, or JSON")


class ClockWrong(StudyError):
    """The clock can't be right, and a review would get a wrong date for good."""

    def __init__(self, now: float, last: float) -> None:
        shown, before = (datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M") for moment in (now, last))
        self.seen = f"the clock shows {shown}, and the last review was on {before}"
        super().__init__(f"{self.seen}; set the clock, or, if it is right: ask quiz --clock-is-right")


class NotEnoughReviews(StudyError):
    """The log is too short to learn from."""

    def __init__(self, there: int, wanted: int) -> None:
        super().__init__(f"the log has {there} reviews, and {wanted} are needed to fit the schedule; review some more")


class OptimizerMissing(StudyError):
    """What fits the schedule is an extra, and is not installed."""

    def __init__(self) -> None:
        super().__init__(
            f"FSRS's optimizer is not installed; run: {sys.executable} -m pip install 'fsrs[optimizer]>=6,<7'"
        )


class ServerError(StudyError):
    """The model server did not give a whole answer; the passages can be shown all the same."""

    partial: str = ""
    """Answer text that had come before the failure."""
    retry_after: float | None = None
    """Seconds after which it is safe, and may help, to send the same again; None: it is not."""


class ServerUnreachable(ServerError):
    """No connection came about."""

    def __init__(
        self,
        url: str,
        reason: str,
        remedy: str = "start one (vllm serve MODEL), or set STUDY_LLM_URL",
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"no model server at {url}: {reason}; {remedy}")
        self.retry_after = retry_after


class ServerRefused(ServerError):
    """The API key is missing or wrong."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"the model server at {url} answered {status}: set STUDY_LLM_API_KEY to its key")


class ModelMissing(ServerError):
    """The server does not know the model, or is no OpenAI server."""

    def __init__(self, url: str, model: str, said: str) -> None:
        super().__init__(
            f"{url} does not have {model or 'a list of models'} (it answered 404{said}); "
            "check STUDY_LLM_URL and STUDY_LLM_MODEL"
        )


class ServerBusy(ServerError):
    """The server has no room for the request now."""

    def __init__(self, url: str, status: int, *, retry_after: float | None) -> None:
        super().__init__(
            f"the model server at {url} answered {status}: it is busy or still loading; try again in a minute"
        )
        self.retry_after = retry_after


class ServerFailed(ServerError):
    """The server answered with a fault of its own."""

    def __init__(self, url: str, status: int, said: str) -> None:
        super().__init__(f"the model server at {url} answered {status}{said}; see its log, or check STUDY_LLM_URL")


class ServerStalled(ServerError):
    """Nothing came within the time that a setting gives."""

    def __init__(self, url: str, missing: str, setting: str) -> None:
        super().__init__(f"the model server at {url} {missing}; if it is only slow, raise {setting}")


class ContextOverflow(ServerError):
    """The prompt, with the room kept for the answer, is longer than the model's context."""

    def __init__(self, url: str, said: str, *, limit: int, wanted: int) -> None:
        remedy = f"set STUDY_LLM_CONTEXT_TOKENS={limit}" if limit else "ask with fewer passages (-k)"
        super().__init__(f"the prompt is too long for the model at {url}{said}; {remedy}")
        self.limit = limit
        """The model's context, prompt and answer together, in tokens; 0: the server did not say."""
        self.wanted = wanted
        """Tokens of the prompt; 0: the server did not say."""


class AnswerCut(ServerError):
    """The connection ended, or the server gave up, before the answer was whole."""

    def __init__(self, url: str) -> None:
        super().__init__(f"the model server at {url} broke off before the answer was whole; see whether it still runs")


class AnswerJunk(ServerError):
    """The answer is not written in the OpenAI protocol."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(f"{url} does not speak the OpenAI protocol ({what}); check STUDY_LLM_URL")


class AnswerEmpty(ServerError):
    """The answer ended without a word of text."""

    def __init__(self, model: str, reason: str | None) -> None:
        spent = ": all of its tokens went into thinking" if reason == "length" else ""
        remedy = "raise STUDY_LLM_MAX_ANSWER_TOKENS" if spent else "ask again, or serve another model"
        super().__init__(f"the model {model} gave an empty answer{spent}; {remedy}")


class AnswerEndless(ServerError):
    """The model goes round in circles, or the server does not stop at the limit it was given."""

    def __init__(self, model: str, what: str, *, period: int = 0) -> None:
        super().__init__(f"the model {model} {what} and was stopped; ask in other words, or serve another model")
        self.period = period
        """Characters of what is repeated; 0: nothing is."""


class AnswerUnparsable(ServerError):
    """The whole text is there, but it is not the JSON object that was asked for."""

    def __init__(self, model: str, reason: str | None) -> None:
        why = "was cut at its limit" if reason == "length" else "is not the JSON that was asked for"
        keeps = "serve a model on a server that keeps to a schema"
        remedy = "raise STUDY_LLM_MAX_ANSWER_TOKENS" if reason == "length" else keeps
        super().__init__(f"the answer of the model {model} {why}; {remedy}")
