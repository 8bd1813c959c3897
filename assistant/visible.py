"""Text of notes, models and users, without the characters that only deceive those who read it."""

import re
import unicodedata

_INVISIBLE = re.compile(
    r"(?:\x1b\[|\x9b)[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Return text without control, bidirectional and invisible characters, which only deceive."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")  # a terminal would write over what stands before one
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", lines))
