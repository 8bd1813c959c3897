"""Import Gradio in less than half of its time, with nothing that calls home.

At each import Gradio 6 writes a type stub beside each of its components (`component_meta.create_or_modify_pyi`: parses
its own sources, renders a template, tries to write into site-packages), 40 % of its start; it leaves a component alone
whose source it can't find. No collection of garbage during the import saves a tenth more, and so does leaving out what
the server never uses: the command lines of Gradio and httpx, and pyarrow, which pandas does without.
"""

import contextlib
import gc
import inspect
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

UNUSED = ("httpx._main", "pyarrow")
"""Modules that their importers do without where they can't be imported."""
_lock = threading.Lock()


def gradio(uploads: Path) -> ModuleType:
    """Return the module `gradio`.

    Args:
        uploads: Where it keeps what is uploaded, until it is a note.
    """
    os.environ |= {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(uploads),
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_SHARE": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }
    with _lock:
        if "gradio" not in sys.modules:
            with _no_collection(), _no_stubs(), _without(UNUSED):
                import gradio as imported
            gc.freeze()
            return imported
    return sys.modules["gradio"]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextlib.contextmanager
def _no_stubs() -> Iterator[None]:
    found = inspect.getfile
    inspect.getfile = _not_found  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = found


def _not_found(of: Any) -> str:
    raise OSError("sources are not looked for during the import")


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    cli = ModuleType("gradio.cli")
    cli.deploy = None  # type: ignore[attr-defined]
    absent: dict[str, Any] = dict.fromkeys(names) | {"gradio.cli": cli}
    hidden = {name: module for name, module in absent.items() if name not in sys.modules}
    sys.modules |= hidden
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
