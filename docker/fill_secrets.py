"""Write .env from .env.example, with a random value for every secret: `make secrets`.

What .env has already stays as it is, so this can be run again after an update brought new lines.
"""

import os
import re
import secrets
from pathlib import Path

SECRET = re.compile(r"(_KEY|_SECRET|_SALT|_PASSWORD)$")
PREFIX = {"LANGFUSE_PUBLIC_KEY": "pk-lf-", "LANGFUSE_SECRET_KEY": "sk-lf-"}
"""Langfuse tells its keys by these."""


def fill(example: str, present: str) -> str:
    """Return the text of .env: the example's lines, with the values that are there, or new ones."""
    line_of = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
    has, named = (dict(line_of.findall(text)) for text in (present, example))

    def line(found: re.Match[str]) -> str:
        name, value = found[1], has.get(found[1]) or found[2]
        if not value and SECRET.search(name):
            value = PREFIX.get(name, "") + secrets.token_hex(32)
        return f"{name}={value}"

    own = [f"{name}={value}" for name, value in has.items() if name not in named]
    return line_of.sub(line, example) + "".join(f"{text}\n" for text in own)


def main(folder: Path) -> None:
    """Fill the folder's .env, for its owner's eyes alone."""
    path = folder / ".env"
    text = fill((folder / ".env.example").read_text(), path.read_text() if path.exists() else "")
    unfinished = path.with_name(".env.unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)


if __name__ == "__main__":
    main(Path(__file__).resolve().parent.parent)
