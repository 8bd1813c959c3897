"""A YAML file → mappings that know their lines, taken field by field; what is wrong is refused with its place.

fields = open_fields(path)
title, weight = fields.text("title"), fields.number("weight")
fields.end()
"""

import contextlib
import datetime
import difflib
import re
import reprlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from assistant.errors import BlueprintRejected

MOST_BYTES = 1_000_000
"""A larger file is no plan."""
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def open_fields(path: Path) -> "Fields":
    """Read a file that is one mapping.

    Raises:
        BlueprintRejected: It can't be read, or is something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BlueprintRejected(str(path), 0, f"can't be read ({error.strerror}); give the path of a plan") from error
    if len(data) > MOST_BYTES:
        raise BlueprintRejected(str(path), 0, f"is larger than {MOST_BYTES:,} bytes; a plan is some hundred lines")
    try:
        found = yaml.load(data, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise BlueprintRejected(str(path), line, f"no YAML ({error.problem}); correct it") from error
    # The parser lets these through on odd values, bytes and nesting.
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BlueprintRejected(str(path), 0, f"no YAML ({_first_line(error)}); correct it") from error
    if not isinstance(found, _Map):
        raise BlueprintRejected(str(path), 1, "no plan; begin with id:, title:, kind: (see assistant/plans/README.md)")
    return Fields(str(path), found)


_short = reprlib.repr


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


class _Map(dict[str, Any]):
    """A mapping of the file that knows its line, and those of its keys."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class _Loader(yaml.SafeLoader):
    """Keeps lines; refuses keys that stand twice, which YAML would let win silently."""

    def construct_lined(self, node: yaml.MappingNode) -> Iterable[_Map]:
        lined = _Map(node.start_mark.line + 1)
        yield lined
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is no word", problem_mark=key_node.start_mark)
            if key in lined:
                raise yaml.MarkedYAMLError(problem=f"{key} stands twice", problem_mark=key_node.start_mark)
            lined.lines[key] = key_node.start_mark.line + 1
            lined[key] = self.construct_object(value_node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_lined)


class Fields:
    """Takes fields from one mapping of the file; what is missing, wrong or left over is refused with its line."""

    def __init__(self, path: str, given: _Map, within: str = "") -> None:
        self._path, self.given = path, given
        name = given.get("id")
        self._what = within + (f" {name}" if within and isinstance(name, str) else "")
        self._left, self._known = set(given), set[str]()

    def refuse(self, problem: str, field: str = "") -> NoReturn:
        """Raise BlueprintRejected with the line of a field, or of the whole mapping."""
        line = self.given.lines.get(field, self.given.line)
        raise BlueprintRejected(self._path, line, f"{self._what}: {problem}" if self._what else problem)

    def __contains__(self, field: str) -> bool:
        return field in self.given

    def _take(self, field: str, needed: bool) -> Any:
        self._left.discard(field)
        self._known.add(field)
        found = self.given.get(field)
        if found is None and needed:
            alike = difflib.get_close_matches(field, self._left, n=1)
            self.refuse(f"{field} is missing" + (f"; is {alike[0]} meant for it?" if alike else "; add it"))
        return found

    def text(self, field: str, *, needed: bool = True) -> str:
        found = self._take(field, needed)
        if found is None:
            return ""
        if not isinstance(found, str) or not found.strip():
            self.refuse(
                f"{field} is {_short(found)}; write words, in quotes if YAML takes them for something else", field
            )
        return " ".join(found.split())

    def id(self) -> str:
        found = self.text("id")
        if not _ID.fullmatch(found):
            self.refuse(
                f"the id {found!r} has other characters than a–z, 0–9 and single hyphens between them; rename it"
            )
        return found

    def number(self, field: str, *, needed: bool = True, least: float = 0) -> float:
        found = self._take(field, needed)
        if found is None:
            return 0
        if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found < 1e6:
            self.refuse(f"{field} is {_short(found)}; write a number of at least {least:g}", field)
        return found

    def whole(self, field: str, *, needed: bool = True, least: int = 0) -> int:
        found = self.number(field, needed=needed, least=least)
        if found != int(found):
            self.refuse(f"{field} is {_short(found)}; write a whole number", field)
        return int(found)

    def date(self, field: str, *, needed: bool = True) -> datetime.date | None:
        found = self._take(field, needed)
        if isinstance(found, str):  # in quotation marks
            with contextlib.suppress(ValueError):
                return datetime.date.fromisoformat(found)
        if found is not None and type(found) is not datetime.date:
            self.refuse(f"{field} is {_short(found)}; write a date as 2027-03-01", field)
        return found

    def one_of(self, field: str, names: Collection[str]) -> str:
        found = self.text(field)
        if found not in names:
            alike = difflib.get_close_matches(found, names, n=1)
            hint = f"write {alike[0]}" if alike else f"write one of: {', '.join(names)}"
            self.refuse(f"there is no {field} {found}; {hint}", field)
        return found

    def parts(self, field: str, *, needed: bool = True) -> list["Fields"]:
        found = self._take(field, needed)
        if found is None:
            return []
        if not isinstance(found, list) or (needed and not found) or not all(isinstance(part, _Map) for part in found):
            self.refuse(f"{field} is no list of entries; write each as: - {{id: …}}", field)
        return [Fields(self._path, part, field) for part in found]

    def part(self, field: str) -> "Fields | None":
        found = self._take(field, needed=False)
        if found is not None and not isinstance(found, _Map):
            self.refuse(f"{field} is {_short(found)}; write it as {field}: {{…}}", field)
        return Fields(self._path, found, field) if found is not None else None

    def end(self) -> None:
        """Refuse what no method asked for."""
        for field in sorted(self._left):
            alike = difflib.get_close_matches(field, self._known, n=1)
            hint = f"is {alike[0]} meant?" if alike else "take it out"
            self.refuse(f"{field} is no field of it; {hint}", field)
