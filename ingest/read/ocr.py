"""A rendered page becomes text, by tesseract, which reads grey pictures in the PGM format from its stdin.

P5 2480 3509 255⏎ and 2480 × 3509 bytes, one for each pixel
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

from ingest.read.child import OCR, OCR_SECONDS, die_with_parent


def wanted() -> bool:
    """Return whether OCR was asked for and can be had."""
    return bool(os.environ.get(OCR)) and shutil.which("tesseract") is not None


def recognize(width: int, rows: Sequence[memoryview]) -> str:
    """Return what stands on a picture.

    Args:
        width: In pixels.
        rows: One byte for each pixel, 0 for black.

    Raises:
        OSError, SubprocessError: Tesseract failed, or took longer than OCR_SECONDS.
    """
    run = subprocess.run(
        ["tesseract", "stdin", "stdout", "-l", os.environ[OCR]],
        input=b"".join([b"P5 %d %d 255\n" % (width, len(rows)), *rows]),
        capture_output=True,
        timeout=OCR_SECONDS,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # its threads slow one another down
        preexec_fn=die_with_parent,
    )
    if run.returncode:
        raise OSError(run.stderr.decode("utf-8", "replace"))
    return run.stdout.decode("utf-8", "replace")
