"""Subtitles and transcripts (.vtt, .srt): running text that is found by the time at which it is said.

    00:00:04.120 --> 00:00:07.480
    <v Ana>FSDP shards the parameters,

Cues are joined to paragraphs of at most half a minute, broken where the speaker changes or pauses; a paragraph's
locator is the start of its first cue. Captions that roll (each cue repeats the line before) are said once.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from ingest.read import Document
from ingest.read.compose import Draft, fit, one_line
from ingest.read.text import decode

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|</?\d[\d:.]*>|\{\\[^{}]*\}")
_COMMENT = re.compile(r"WEBVTT|NOTE\b|STYLE\b|REGION\b|X-TIMESTAMP-MAP")

_LONGEST = 30.0
"""Seconds that a paragraph may last."""
_ENOUGH = 15.0
"""Seconds after which a paragraph ends with its sentence."""
_PAUSE = 3.0
"""Seconds of silence that end a paragraph."""


@dataclass(frozen=True)
class _Cue:
    """A caption, its times in seconds."""

    start: float
    end: float
    speaker: str
    """'' where the cue does not say."""
    lines: tuple[str, ...]


def read(path: Path, data: bytes) -> Document:
    """Read subtitles; each paragraph is found by its time."""
    text, remark = decode(data)
    cues, malformed = _cues(fit(text))
    draft = Draft()
    said: list[str] = []
    first = last = None
    for cue, words in _said_once(cues):
        if first is None or last is None or _breaks(first, last, cue, said[-1]):
            _lay(draft, first, said)
            said, first = [], cue
        said.append(words)
        last = cue
    _lay(draft, first, said)
    header = re.match(r"\s*WEBVTT[ \t]+(?:-[ \t]*)?(.+)", text)
    skipped = f"{malformed} malformed cue{'s' * (malformed > 1)} skipped" if malformed else ""
    return draft.document(title=header[1] if header else "", remark="; ".join(filter(None, (remark, skipped))))


def _cues(text: str) -> tuple[list[_Cue], int]:
    """Return the cues, and how many blocks of lines are none."""
    cues = []
    malformed = 0
    for block in re.split(r"\n[^\S\n]*\n", text):
        lines = block.strip().lstrip("\ufeff").split("\n")
        at = next((number for number, line in enumerate(lines[:2]) if "-->" in line), None)
        timing = None if at is None else _TIMING.fullmatch(lines[at])
        if timing is None or at is None:
            malformed += bool(lines[0]) and not _COMMENT.match(lines[0])
            continue
        spoken = "\n".join(lines[at + 1 :])
        voice = _VOICE.search(spoken)
        words = tuple(filter(None, (one_line(html.unescape(_TAG.sub("", line))) for line in spoken.split("\n"))))
        start, end = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])
        if words:
            cues.append(_Cue(start, end, one_line(html.unescape(voice[1])) if voice else "", words))
    return cues, malformed
