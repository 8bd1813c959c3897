"""Import Gradio in half of its time, with nothing that calls home.

At each import Gradio 6 writes a type stub beside each of its components (`component_meta.create_or_modify_pyi`: parses
its own sources, renders a template, tries to write into site-packages), 40 % of its start; it leaves a component alone
whose source it can't find. No collection of garbage during the import saves a tenth more.
"""

import gc
import inspect
import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

_lock = threading.Lock()


def gradio(uploads: Path) -> ModuleType:
    """Return the module `gradio`.

    Args:
        uploads: Where it keeps what is uploaded, until it is a note.
    """
    with _lock:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(uploads),
            "GRADIO_RUN_HISTORY": "False",
            "GRADIO_SHARE": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
        }
        collecting, found = gc.isenabled(), inspect.getfile
        gc.disable()
        inspect.getfile = _not_found  # type: ignore[assignment]
        try:
            import gradio
        finally:
            inspect.getfile = found
            if collecting:
                gc.enable()
        gc.freeze()
    return gradio


def _not_found(of: Any) -> str:
    raise OSError("sources are not looked for during the import")
