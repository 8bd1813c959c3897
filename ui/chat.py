"""The command `ask chat`: a conversation in the terminal, kept in the journal.

Ctrl-C stops an answer and not the conversation; Ctrl-D, or the end of what is piped in, leaves it.
"""

import contextlib
import io
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from assistant.answer import Event
    from assistant.follow import Turn
    from assistant.journal import Journal
    from assistant.remember import Remembered
    from assistant.settings import AssistantSettings
    from ingest.shelf import Shelf

HELP = """/sources  the words that the last answer stands on
/quiz     be asked about what was last answered
/new      begin another conversation
/help     this
/quit     leave (also Ctrl-D); `ask chat --resume` goes on later"""
QUIZ = "3"
"""Questions of one `/quiz`."""
_PROMPT = "? "
_REMEMBERED = 200
"""Questions of earlier times that the arrow keys bring back."""


@click.command()
@click.option(
    "--resume", is_flag=False, flag_value=0, type=int, metavar="[ID]", help="Go on with the last conversation, or ID."
)
@click.option("--list", "listing", is_flag=True, help="List the conversations and leave.")
@click.option("--course", default="", help="Stay in this sub-folder of the notes.")
@click.option("-k", "top_k", type=click.IntRange(1, 50), help="Most passages to answer from.")
@click.option("--no-llm", is_flag=True, help="Quote the notes; ask no model.")
def chat(resume: int | None, listing: bool, course: str, top_k: int | None, no_llm: bool) -> None:
    """Talk with your notes: questions may build on those before them.

    \b
    Examples:
      ask chat
      ask chat --resume
      printf 'What is FSDP?\\nAnd how does it differ from DDP?\\n' | ask chat
    """
    from assistant.answer import course_of
    from assistant.errors import JournalUnavailable
    from assistant.journal import Journal
    from ui import open as opening
    from ui import show

    settings = opening.settings()
    journal: Journal | None = None
    try:
        journal = Journal.of(settings)
    except JournalUnavailable as error:
        if resume is not None or listing:
            raise
        click.echo(show.line_of(f"this conversation is not kept: {error}"), err=True)
    with contextlib.closing(journal) if journal else contextlib.nullcontext():
        if listing:
            assert journal
            click.echo("\n".join(_lines(journal)) or "no conversation yet; begin one with: ask chat")
            return
        shelf = opening.shelf(settings)
        opening.index_first(shelf)
        course = course_of(course, shelf)
        talk = _Talk(shelf, settings, journal, course=course, top_k=top_k or 0, use_model=not no_llm)
        if resume is not None:
            talk.resume(resume)
        talk.run()


def _lines(journal: "Journal") -> Iterator[str]:
    from ui import show

    for one in journal.conversations():
        count = show.counted(one.answers, "questions")
        yield f"{one.id:>4}  {show.moment(one.last)}  {count:<13} {show.line_of(one.title)}"


class _Talk:
    """One sitting at the terminal."""

    def __init__(
        self,
        shelf: "Shelf",
        settings: "AssistantSettings",
        journal: "Journal | None",
        *,
        course: str,
        top_k: int,
        use_model: bool,
    ) -> None:
        self._shelf, self._settings, self._journal = shelf, settings, journal
        self._course, self._top_k, self._use_model = course, top_k, use_model
        self._conversation = 0
        self._history: list[Turn] = []
        self._cited: list[dict[str, Any]] = []
        """The citations of the last answer."""

    def resume(self, id_: int) -> None:
        """Go on with a conversation."""
        from ui import show

        assert self._journal
        found = self._journal.resumed(id_)
        self._conversation, self._course = found.id, self._course or found.course
        self._recall()
        last = self._history[-1]
        answer = show.line_of(last.answer) or "Your notes don't say."
        click.echo(f"conversation {found.id}: {show.line_of(found.title)}", err=True)
        click.echo(f"{_PROMPT}{show.line_of(last.question)}\n{answer}", err=True)

    def _recall(self) -> None:
        """Have in mind what the journal has of this conversation."""
        from assistant.follow import turns

        if self._journal and (said := self._journal.conversation(self._conversation)):
            self._history, self._cited = list(turns(said)), said[-1].document["citations"]

    def run(self) -> None:
        """Ask for questions and answer them until there are no more."""
        person = sys.stdin.isatty()
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        if person:
            self._bring_back()
            click.echo("ask about your notes; /help tells what else there is, /quit leaves", err=True)
        while (line := _read(person)) is not None:
            word = line.strip()
            if not word:
                continue
            if not person:
                click.echo(f"{_PROMPT}{word}")
            if word.startswith("/"):
                if not self._command(word):
                    return
            else:
                self._answer(word)
            click.echo()

    def _bring_back(self) -> None:
        """Let the arrow keys find earlier questions."""
        with contextlib.suppress(ImportError):
            import readline

            for question in reversed(self._journal.questions(_REMEMBERED) if self._journal else []):
                readline.add_history(question)

    def _command(self, word: str) -> bool:
        """Do what a word with a slash says; return whether to go on."""
        from ui import show

        if word in ("/quit", "/exit", "/q"):
            return False
        if word == "/new":
            self._conversation, self._history, self._cited = 0, [], []
            click.echo("a new conversation")
        elif word == "/quiz":
            self._quiz()
        elif word == "/sources":
            nothing = "the last answer cites nothing" if self._history else "no answer yet that cites anything"
            click.echo(show.sources_text(self._cited) or nothing)
        else:
            click.echo(HELP if word == "/help" else f"there is no {show.line_of(word)}\n{HELP}")
        return True

    def _quiz(self) -> None:
        """Ask the learner about what the last question was about."""
        from ingest.errors import StudyError
        from ui import show
        from ui.quiz import quiz

        if not self._history:
            click.echo("ask something first: the quiz is about the last answer")
            return
        last = self._history[-1]
        course = ["--course", self._course] if self._course else []
        model = [] if self._use_model else ["--no-llm"]
        try:
            quiz.main([*course, *model, "-n", QUIZ, "--", last.standalone or last.question], standalone_mode=False)
        except (StudyError, click.ClickException) as error:
            click.echo(show.line_of(str(error)), err=True)
        except (click.Abort, KeyboardInterrupt):
            click.echo("the quiz is over", err=True)

    def _answer(self, question: str) -> None:
        from assistant.answer import answer, check_question
        from assistant.follow import TURNS, Turn
        from ingest.errors import StudyError
        from ui import show
        from ui.echo import print_answer
        from ui.tell import told

        try:
            question = check_question(question)
            events = answer(
                question,
                self._shelf,
                self._settings,
                top_k=self._top_k,
                course=self._course,
                use_model=self._use_model,
                history=self._history,
            )
            done = print_answer(told(self._kept(question, events), self._shelf), live=show.is_terminal())
            self._cited = done["citations"]
            turn = Turn(question, done["answer"], done.get("standalone", ""))
            self._history = [*self._history, turn][-TURNS:]
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            self._recall()
        except StudyError as error:  # the next question may fare better
            click.echo(show.line_of(str(error)), err=True)

    def _kept(
        self, question: str, events: "Generator[Event, None, None]"
    ) -> "Generator[Event | Remembered, None, None]":
        """Return the events on their way through the journal, if there is one."""
        from assistant.errors import JournalUnavailable
        from assistant.remember import remembered
        from ui import show

        if self._journal is None:
            return events
        try:
            self._conversation = self._conversation or self._journal.start(question, course=self._course)
        except JournalUnavailable as error:
            click.echo(show.line_of(f"this conversation is not kept: {error}"), err=True)
            return events
        return remembered(
            events, self._settings, course=self._course, conversation=self._conversation, journal=self._journal
        )


def _read(person: bool) -> str | None:
    """Return the next line; None at the end."""
    try:
        return input(_PROMPT) if person else sys.stdin.readline() or None
    except EOFError:
        click.echo(err=True)
        return None
    except KeyboardInterrupt:
        click.echo(" (/quit leaves)", err=True)
        return ""
