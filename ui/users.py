"""Who may log in to the web app: names and hashed passwords in STUDY_HOME/users.json, and `ask users`, which keeps it.

    {"anna": "$argon2id$v=19$m=65536,t=3,p=4$…"}

A user is a learner: the name is that of the journal.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any
from unicodedata import normalize

import click

from ui import private
from ui.errors import UserRejected

LEAST = 12
"""Characters of a password."""
MOST = 1024
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$NtuNJ+bO1U7bfXYuaxntmw$wMn716GdTgL95c8vNvQpsrVbRU5b3yWhAbm9+zBeHEw"
"""Hash of a password that nobody knows, checked for names that are not there, so that these take as long as others."""


class Users:
    """The users of an installation; what another process changes in the file is seen at once."""

    def __init__(self, home: Path) -> None:
        self._path = home.expanduser().resolve() / "users.json"
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._hashes: dict[str, str] = {}

    def hashes(self) -> dict[str, str]:
        """Return the hash of each user's password, by name.

        Raises:
            UserRejected: The file is not what this program wrote.
        """
        with self._lock:
            try:
                stat = self._path.stat()
                if (seen := (stat.st_mtime_ns, stat.st_ino)) != self._seen:
                    kept = json.loads(self._path.read_text(encoding="utf-8"))
                    self._hashes = {normalize("NFC", name): held for name, held in kept.items()}
                    self._seen = seen
            except FileNotFoundError:
                self._hashes, self._seen = {}, None
            except (OSError, ValueError, AttributeError) as error:
                raise UserRejected(f"{self._path} can't be read ({error}); restore it, or remove it") from error
            return dict(self._hashes)

    def check(self, name: str, password: str) -> bool:
        """Return whether a password is right; it takes as long for a name that is not there."""
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHashError, VerificationError

        found = self.hashes().get(normalize("NFC", name))
        with _verifying:  # each takes 64 MiB
            try:
                return PasswordHasher().verify(found or NOBODY, password[:MOST]) and found is not None
            except (VerificationError, InvalidHashError):
                return False

    def add(self, name: str, password: str) -> bool:
        """Add a user, or give one another password; return whether the user is new.

        Raises:
            UserRejected: The name or the password can't be taken.
        """
        from argon2 import PasswordHasher

        from assistant.settings import learner_name

        try:
            name = learner_name(name)
        except ValueError as error:
            raise UserRejected(str(error)) from None
        if not LEAST <= len(password) <= MOST:
            raise UserRejected(f"a password has {LEAST} characters at least, and {MOST:,} at most")
        if password.lower() == name.lower():
            raise UserRejected("the password is the name; choose another")
        found = self.hashes()
        if alike := next((other for other in found if other != name and other.lower() == name.lower()), None):
            raise UserRejected(f"{alike} is there already, and differs in capitals alone; choose another name")
        self._write(found | {name: PasswordHasher().hash(password)})
        return name not in found

    def remove(self, name: str) -> None:
        """Remove a user; the journal stays.

        Raises:
            UserRejected: There is none of that name.
        """
        found = self.hashes()
        if found.pop(normalize("NFC", name), None) is None:
            raise UserRejected(f"there is no user {name}; see: ask users list")
        self._write(found)

    def _write(self, hashes: dict[str, str]) -> None:
        private.write(self._path, json.dumps(hashes, ensure_ascii=False, indent=1) + "\n")


_verifying = threading.Semaphore(2)


@click.group("users")
def users() -> None:
    """Say who may log in to the web app; with users set up, it may listen on other addresses.

    \b
    Examples:
      ask users add anna
      STUDY_UI_HOST=0.0.0.0 ask ui
    """


@users.command()
@click.argument("name")
@click.option("--password-stdin", "piped", is_flag=True, help="Read the password from standard input.")
def add(name: str, piped: bool) -> None:
    """Add NAME, or give NAME another password."""
    password = sys.stdin.readline().rstrip("\n") if piped else _ask_twice()
    new = _here().add(name, password)
    click.echo(f"{name} may log in" if new else f"{name} has another password, and is logged out everywhere")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def list_(as_json: bool) -> None:
    """Name all who may log in."""
    from ui import open as opening

    names = sorted(_here().hashes())
    if as_json:
        opening.print_json({"users": names})
    else:
        click.echo("\n".join(names) or "nobody may log in; add one: ask users add NAME")


@users.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take NAME's log-in away at once; what NAME asked and learnt stays in STUDY_HOME/learners."""
    _here().remove(name)
    click.echo(f"{name} may not log in any more")


def _ask_twice() -> str:
    told: Any = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return str(told)


def _here() -> Users:
    from ui import open as opening

    return Users(opening.settings().home)
