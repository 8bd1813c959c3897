"""A running app says where it is: to `ui.client`, and to a second `ask ui`."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ui import client, private, token
from ui.errors import AppRunning


def check_alone(settings: Mapping[str, str]) -> None:
    """Make sure that no app with these settings runs.

    Args:
        settings: As `ui.client.as_set` returns them.

    Raises:
        AppRunning: One does.
    """
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        found = json.loads(client.file_of(settings).read_text(encoding="utf-8"))
        if client.is_there(found):
            raise AppRunning(str(found["url"]), int(found["pid"]))


@contextlib.contextmanager
def present(settings: Mapping[str, str], url: str, host: str, port: int, notes: Path) -> Iterator[None]:
    """Say where the app is, until the end; what a killed one left is harmless, since nobody answers there.

    Args:
        settings: As `ui.client.as_set` returns them.
        url: To open in a browser.
        host: To connect to.
        port: Likewise.
        notes: Which notes it serves, for people who look into the file.
    """
    file = client.file_of(settings)
    told = {
        "url": url,
        "host": host,
        "port": port,
        "pid": os.getpid(),
        "token": str((client.home_of(settings) / token.NAME).resolve()),
        "notes": str(notes),
        "started": time.time(),
    }
    private.write(file, json.dumps(told))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            if json.loads(file.read_text(encoding="utf-8"))["pid"] == os.getpid():
                file.unlink()
