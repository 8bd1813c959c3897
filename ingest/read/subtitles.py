"""Subtitles and transcripts (.vtt, .srt): running text that is found by the time at which it is said.

    00:00:04.120 --> 00:00:07.480
    <v Ana>FSDP shards the parameters,

Cues are joined to paragraphs of at most half a minute, broken where the speaker changes or pauses; the
locator is the start of the first cue. Captions that roll (each repeats the one before) are said once.
"""

import html
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ingest.read import Document
from ingest.read.compose import Draft, fit, one_line
from ingest.read.text import decode

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]([^<>\n]+)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|</?\d[\d:.]*>|\{\\[^{}]*\}")
_NO_CUE = re.compile(r"WEBVTT|NOTE\b|STYLE\b|REGION\b|X-TIMESTAMP-MAP|\Z")

_LONGEST = 30.0
"""Seconds that a paragraph may last."""
_ENOUGH = 15.0
"""Seconds after which a paragraph ends with its sentence."""
_PAUSE = 3.0
"""Seconds of silence that end a paragraph."""


_TOUCHING = 0.5
"""Seconds between two cues within which the second may repeat the first."""


class _Cue(NamedTuple):
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
    start, before, speaker = 0.0, None, ""
    for cue, words in _said_once(cues):
        if before is None or _breaks(start, before, cue, speaker, said[-1]):
            draft.add(" ".join(said), place=_clock(start))
            said, start = [], cue.start
            if cue.speaker and cue.speaker != speaker:
                speaker = cue.speaker
                words = f"{speaker}: {words}"
        said.append(words)
        before = cue
    draft.add(" ".join(said), place=_clock(start))
    header = re.match(r"\s*WEBVTT[ \t]+(?:-[ \t]*)?(.+)", text)
    skipped = f"{malformed} malformed cue{'s' * (malformed > 1)} skipped" if malformed else ""
    return draft.document(title=header[1] if header else "", remark="; ".join(filter(None, (remark, skipped))))


def _cues(text: str) -> tuple[list[_Cue], int]:
    """Return the cues, and how many more there are that can't be read."""
    cues: list[_Cue] = []
    malformed = 0
    for block in re.split(r"\n\n+", text.strip()):  # a line of spaces belongs to its cue
        lines = block.split("\n")
        arrows = [number for number, line in enumerate(lines) if "-->" in line]
        malformed += not arrows and not _NO_CUE.match(block)
        for at, following in pairwise([*arrows, len(lines)]):  # some files have no blank line between cues
            timing = _TIMING.fullmatch(lines[at])
            if timing:
                number = following < len(lines) and lines[following - 1].strip().isdecimal()
                cues += _spoken(timing, "\n".join(lines[at + 1 : following - number]))
            else:
                malformed += 1
    return cues, malformed


def _spoken(timing: re.Match[str], text: str) -> Iterator[_Cue]:
    """Yield a cue for each voice that speaks in it."""
    start, end = _seconds(*timing.groups()[:4]), _seconds(*timing.groups()[4:])
    voices = _VOICE.split(text)
    for speaker, words in zip(["", *voices[1::2]], voices[::2], strict=True):
        lines = (one_line(html.unescape(_TAG.sub("", line))) for line in words.split("\n"))
        if spoken := tuple(filter(None, lines)):
            yield _Cue(start, end, one_line(html.unescape(speaker)), spoken)


def _said_once(cues: list[_Cue]) -> Iterator[tuple[_Cue, str]]:
    """Yield the cues that say something new, and what it is."""
    before: _Cue | None = None
    for cue in cues:
        lines = cue.lines
        if before and cue.start - before.end < _TOUCHING:
            lines = tuple(line.removeprefix(f"{before.lines[-1]} ") for line in lines if line not in before.lines)
        before = cue
        if lines:
            yield cue, " ".join(lines)


def _breaks(start: float, before: _Cue, cue: _Cue, speaker: str, words: str) -> bool:
    """Tell whether a paragraph that began at `start` ends before `cue`."""
    return (
        cue.speaker not in ("", speaker)
        or cue.start - before.end > _PAUSE
        or cue.end - start > _LONGEST
        or (before.end - start >= _ENOUGH and words.endswith((".", "?", "!", "…")))
    )


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def _clock(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}"
