"""Everything that can go wrong between a person and the app.

StudyError                  (ingest.errors)
├── AppRunning              another process serves these notes already
├── PortTaken               the address can't be listened on
├── UsersNeeded             an address that others can reach, and nobody may log in
├── TooManyQuestions        a learner, or all of them, ask more at once than is answered at once
├── Nameless                a page whose learner is not known
├── QuestionsFailed         no further question could be made, for a reason that is nobody's mistake but ours
├── NotThere                a note to be deleted or restored is not there
├── InTheWay                a note can't be restored: another has its place
├── NightRunning            another nightly run of these notes is going on
└── UserRejected            a user can't be added, or is not there
"""

from ingest.errors import StudyError


class AppRunning(StudyError):
    """The app runs already."""

    def __init__(self, url: str, pid: int) -> None:
        super().__init__(f"the app runs already at {url} (process {pid})")


class PortTaken(StudyError):
    """Something else listens there, or it is not for us."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"{host} port {port} can't be listened on: {reason}; set STUDY_UI_PORT to another (0: any that is free)"
        )


class UsersNeeded(StudyError):
    """The app would be open to everybody who can reach the address."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"others can reach {host}, so people must log in there; first add one: ask users add NAME "
            "(or leave STUDY_UI_HOST at 127.0.0.1)"
        )


class TooManyQuestions(StudyError):
    """No room for one more question now."""

    def __init__(self, most: int, whose: str) -> None:
        super().__init__(f"{most} questions{whose} are being answered; wait for one of them, or stop one")


class Nameless(StudyError):
    """Nobody's page: whose journal it would write in is not known."""

    def __init__(self) -> None:
        super().__init__("this page does not know whose it is any more; load it again")


class QuestionsFailed(StudyError):
    """No further question could be made."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no further question could be made ({reason}); your answers are kept: start again")


class NotThere(StudyError):
    """There is no such file, or it is nothing that the trash takes."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not there (any more); look at the list again")


class InTheWay(StudyError):
    """A note can't go back to where it was."""

    def __init__(self, path: str) -> None:
        super().__init__(f"there is another {path} now; rename or delete that one, then restore this one")


class NightRunning(StudyError):
    """Another nightly run of these notes is going on."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"another nightly run of these notes is going on (process {pid}); this one does nothing")


class UserRejected(StudyError):
    """The user can't be added, or is not there."""
