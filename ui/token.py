"""The key to the API: a random token in a file that only its owner can read."""

import hmac
import secrets
from pathlib import Path

from ui import private

NAME = "api-token"


def token(home: Path) -> str:
    """Return the token of an installation, making it the first time.

    Args:
        home: STUDY_HOME.
    """
    path = home / NAME
    if not path.exists():
        private.write_once(path, secrets.token_urlsafe(32) + "\n")
    if path.stat().st_mode & 0o077:  # copied from elsewhere, perhaps
        path.chmod(0o600)
    return path.read_text(encoding="ascii").strip()


def bears(authorization: str, wanted: str) -> bool:
    """Return whether an `Authorization` header carries the token, in a time that tells nothing about it."""
    kind, _, given = authorization.partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), wanted.encode())
