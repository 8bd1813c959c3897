"""The process in which worker.py has files read: requests come on its stdin, answers go out on its stdout.

{"module": "ingest.read.pdf", "path": "a.pdf", "size": 8123, "done": 0, …}⏎ and 8123 bytes
␀␀␀␤{"count": 12, "title": "Sharding"}   four bytes of length, and a part (of a PDF; pdf.py has the others)
␀␀␀␤{"document": ["text", "title", [[0, 4, "text", [], "line 1"]], [], ""]}   of any other format
␀␀␀␤{"unreadable": ["encrypted", "needs a password"]}
␀␀␀␤{"end": 71303168}   and the address space that the process holds now, in bytes
"""

import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ingest.errors import Unreadable
from ingest.read import Document

MEMORY = 1 << 30
"""Most address space of the process, in bytes (RLIMIT_AS): its memory can't be more."""
OUT_OF_MEMORY = 86
"""Exit status."""
OCR = "READER_OCR"
"""Variable that holds the languages in which scanned pages are read, by tesseract's names; empty: they aren't."""
OCR_SECONDS = 60
"""Longest time that OCR gets for a page, beside the page's own."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; outside Linux the end of its pipe must do."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, linux/prctl.h


def main() -> None:
    """Answer requests until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # what libraries print goes nowhere
        os.dup2(nowhere, stream)
    limit_memory()
    try:
        while line := requests.readline():
            request = json.loads(line)
            for part in _answer(request, requests.read(request["size"])):
                frame = json.dumps(part).encode()
                answers.write(len(frame).to_bytes(4, "big"))
                answers.write(frame)
                answers.flush()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def limit_memory() -> None:
    """Let this process have no more than MEMORY, and leave no core file."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(request: dict[str, Any], data: bytes) -> Iterator[dict[str, Any]]:
    try:
        module = import_module(request["module"])
        if "done" in request:
            yield from module.pages(data, done=request["done"], plain=request["plain"], alone=request["alone"])
        else:
            found: Document = module.read(Path(request["path"]), data)
            blocks = [[block.start, block.end, block.kind, block.heading, block.locator] for block in found.blocks]
            yield {"document": [found.text, found.title, blocks, found.lost, found.remark]}
    except Unreadable as error:
        yield {"unreadable": [error.state, error.reason]}
    except MemoryError:
        raise
    except Exception as error:  # over a hostile file a reader raises anything
        line = "".join(filter(str.isprintable, f"{type(error).__name__}: {error}"))
        yield {"unreadable": ["failed", line[:200]]}
    del data
    gc.collect()
    yield {"end": _held()}


def _held() -> int:
    """Return the address space of this process in bytes; 0 where the system does not tell."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    return 0


if __name__ == "__main__":
    main()
