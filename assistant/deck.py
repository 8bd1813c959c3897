"""Items out of the house, and in: Anki decks, CSV, GIFT (Moodle) and QTI 2.1 (course systems).

An Anki note's GUID is its item's id, so that a second export updates the cards of the first and keeps their history.

    ::5f0c2a:: Which term is meant by “…”? {=Prefill ~Decode ~Chunk ~Agent ####“**Prefill** is …” serving.md}
"""

import csv
import hashlib
import html
import io
import re
import time
import zipfile
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape, quoteattr

from assistant.cards import placed
from assistant.database import scratch
from assistant.errors import DeckUnreadable
from assistant.facts import plain
from assistant.items import BLANK, CLOZE, FLASHCARD, MCQ, ORDERING, SHORT, TRUE_FALSE, Evidence, Item

MODEL_ID = 1_732_190_400
"""Of the Anki note type: fixed, or every export would make another one."""
_NAMES = "id kind question options answer accepted explanation objective path locator quote".split()
MOST_BYTES = 32 << 20
"""Larger files are not read."""
_NOWHERE = Evidence("", "", "", 0, 0)


# --------------------------------------------------------------------------------------------------------- out


def write_anki(items: Iterable[Item], to: Path, name: str, notes: Path) -> None:
    """Write an .apkg.

    Args:
        items: What becomes notes of one card each.
        to: The file.
        name: Of the deck; the same name is the same deck.
        notes: The notes folder, for links to the sources.
    """
    import genanki

    fields = [{"name": field} for field in ("Question", "Answer", "Why", "Source", "Id")]
    front = "<div>{{Question}}</div>"
    back = "{{FrontSide}}<hr id=answer><b>{{Answer}}</b><p>{{Why}}</p><p><small>{{Source}}</small></p>"
    templates = [{"name": "Card", "qfmt": front, "afmt": back}]
    model = genanki.Model(MODEL_ID, "Study item", fields=fields, templates=templates)
    deck = genanki.Deck((1 << 30) + int(hashlib.sha256(name.encode()).hexdigest()[:7], 16), name)
    for item in items:
        question = _for_anki(item.question)
        if item.options:
            question += "<ol>" + "".join(f"<li>{_for_anki(option)}</li>" for option in item.options) + "</ol>"
        place, source = item.evidence, ""
        if place.path:
            told = _for_anki(f"{place.path}, {place.locator}")
            source = f'<a href="{html.escape((notes / place.path).as_uri())}">{told}</a>'
        why = _for_anki(plain(place.quote) or item.explanation)
        told_fields = [question, _for_anki(item.in_words), why, source, item.id]
        deck.add_note(genanki.Note(model, told_fields, tags=_tags(item), guid=item.id))
    now = time.time()
    with TemporaryDirectory() as folder:  # genanki's own way leaves a copy behind
        with scratch(Path(folder) / "collection.anki2") as db:
            genanki.Package(deck).write_to_db(db.cursor(), now, count(int(now * 1000)))
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as package:
            package.write(Path(folder) / "collection.anki2", "collection.anki2")
            package.writestr("media", "{}")


def _for_anki(text: str) -> str:
    """Return text as HTML in which Anki finds no sound to play and no LaTeX to run."""
    return re.sub(r"\[(?=sound:|anki:|latex\]|\$)", "&#91;", html.escape(text))


def _tags(item: Item) -> list[str]:
    course = re.sub(r"\s+", "-", item.evidence.course)
    return [f"kind::{item.kind}", *([f"course::{course}"] if course else [])]


def to_csv(items: Iterable[Item]) -> str:
    """Return items as CSV with a head; several options stand in one cell, a line each."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(_NAMES)
    for item in items:
        place = item.evidence
        options, accepted = ("\n".join(map(_line, some)) for some in (item.options, item.accepted))
        answer = _line(item.answer) if item.options else item.answer
        row = [item.id, item.kind, item.question, options, answer, accepted, item.explanation, item.objective]
        rows.writerow([_inert(cell) for cell in [*row, place.path, place.locator, place.quote]])
    return out.getvalue()


def _line(text: str) -> str:
    return " ".join(text.split())


def _inert(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "'")) else cell


def to_gift(items: Iterable[Item]) -> str:
    """Return items as GIFT; what it has no form for becomes an essay with the answer as feedback."""
    return "\n".join(_gift(item) for item in items)


def _gift(item: Item) -> str:
    why = _escaped(" ".join(filter(None, (item.explanation, item.evidence.path))))
    asked, right = _escaped(item.question), (item.answer, *item.accepted)
    if item.kind == MCQ:
        answers = "".join(_choice(option, right=option == item.answer) for option in item.options)
    elif item.kind == TRUE_FALSE:
        answers = "T" if item.answer == "true" else "F"
    elif item.kind in (SHORT, CLOZE) and not any("->" in one for one in right):  # GIFT has them matched
        answers = "".join(_choice(one, right=True) for one in right)
    else:
        listed = "".join(f"\n{n}. {option}" for n, option in enumerate(item.options, start=1))
        asked, answers = asked + _escaped(listed), ""
        why = _escaped(_line(item.in_words)) + (f"\\n{why}" if why else "")
    body = f"{{{answers}\n\t####{why}\n}}"
    told = asked.replace(BLANK, body, 1) if item.kind == CLOZE and answers else f"{asked} {body}"
    return f"// kind: {item.kind}\n::{item.id}::[plain]{told}\n"


def _choice(answer: str, *, right: bool) -> str:
    """Return an answer with its mark; one that begins like a weight is given a weight."""
    weight = ("%100%" if right else "%0%") if answer.startswith("%") else ""
    return f"\n\t{'=' if right else '~'}{weight}{_escaped(answer)}"


def _escaped(text: str) -> str:
    return re.sub(r"([~=#{}:\\])", r"\\\1", text).replace("\n", "\\n")


_QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
_RIGHT = "http://www.imsglobal.org/question/qti_v2p1/rptemplates/match_correct"
_MAPPED = "http://www.imsglobal.org/question/qti_v2p1/rptemplates/map_response"


def write_qti(items: Iterable[Item], to: Path) -> None:
    """Write a QTI 2.1 content package: a manifest and a file for each item."""
    listed = []
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as package:
        for item in items:
            name = f"items/{item.id}.xml"
            package.writestr(name, _qti(item))
            about = f'identifier="i{item.id}" type="imsqti_item_xmlv2p1" href="{name}"'
            listed.append(f'<resource {about}><file href="{name}"/></resource>')
        package.writestr(
            "imsmanifest.xml",
            '<?xml version="1.0" encoding="UTF-8"?>\n<manifest xmlns="http://www.imsglobal.org/xsd/imscp_v1p1" '
            'identifier="study-assistant"><metadata><schema>QTIv2.1 Package</schema>'
            "<schemaversion>1.0.0</schemaversion>"
            f"</metadata><organizations/><resources>{''.join(listed)}</resources></manifest>",
        )


def _qti(item: Item) -> str:
    asked = escape(item.question)
    cardinality, base, template = "single", "identifier", _RIGHT
    mapping = ""
    options = item.options or ("true", "false")
    told = [f'<simpleChoice identifier="o{n}">{escape(one)}</simpleChoice>' for n, one in enumerate(options)]
    choices, to_answer = "".join(told), f'responseIdentifier="RESPONSE"><prompt>{asked}</prompt>'
    if item.kind in (MCQ, TRUE_FALSE):
        right = [f"o{options.index(item.answer)}"]
        body = f'<choiceInteraction shuffle="false" maxChoices="1" {to_answer}{choices}</choiceInteraction>'
    elif item.kind == ORDERING:
        cardinality, right = "ordered", [f"o{int(n) - 1}" for n in item.answer.split()]
        body = f'<orderInteraction shuffle="false" {to_answer}{choices}</orderInteraction>'
    elif item.kind in (SHORT, CLOZE):
        base, template, right = "string", _MAPPED, [item.answer]
        entries = "".join(
            f'<mapEntry mapKey={quoteattr(one)} mappedValue="1" caseSensitive="false"/>'
            for one in dict.fromkeys((item.answer, *item.accepted))
        )
        mapping = f'<mapping defaultValue="0">{entries}</mapping>'
        entry = '<textEntryInteraction responseIdentifier="RESPONSE" expectedLength="40"/>'
        body = f"<p>{asked.replace(BLANK, entry, 1)}</p>" if item.kind == CLOZE else f"<p>{asked} {entry}</p>"
    else:
        base, right, template = "string", [], ""  # a person scores it, by the answer that the notes give
        told_points = "".join(f"<p>{escape(one)}</p>" for one in (item.answer, *item.rubric))
        body = f'<rubricBlock view="scorer">{told_points}</rubricBlock>'
        body += f"<extendedTextInteraction {to_answer}</extendedTextInteraction>"
    values = "".join(f"<value>{escape(one)}</value>" for one in right)
    return _NOT_IN_XML.sub(
        "",
        f'<?xml version="1.0" encoding="UTF-8"?>\n<assessmentItem xmlns="{_QTI}" identifier="i{item.id}" '
        f'title={quoteattr(item.question[:60])} adaptive="false" timeDependent="false">'
        f'<responseDeclaration identifier="RESPONSE" cardinality="{cardinality}" baseType="{base}">'
        f"{f'<correctResponse>{values}</correctResponse>' if right else ''}{mapping}</responseDeclaration>"
        '<outcomeDeclaration identifier="SCORE" cardinality="single" baseType="float"/>'
        f"<itemBody>{body}</itemBody>{f'<responseProcessing template={quoteattr(template)}/>' if template else ''}"
        "</assessmentItem>",
    )


_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold."""


# ---------------------------------------------------------------------------------------------------------- in


def read(path: Path) -> list[Item]:
    """Return the items of a file: GIFT, Anki's text export, or CSV with a head; none has evidence yet.

    Raises:
        DeckUnreadable: It is none of these, or too large.
    """
    if path.stat().st_size > MOST_BYTES:
        raise DeckUnreadable(path, f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DeckUnreadable(path, "it is not UTF-8 text") from error
    source, suffix = f"imported from {path.name}", path.suffix.lower()
    sure = suffix == ".csv"  # else what its words look like decides
    if suffix == ".gift" or (not sure and re.search(r"^::", text, re.MULTILINE)):
        found = list(_from_gift(text, source))
    elif re.match(r"#[^:\n]+:", text) or (not sure and _is_tabbed(text)):
        found = list(_from_anki(text, source))
    else:
        found = list(_from_csv(text, source))
    if not found:
        raise DeckUnreadable(path, "no question was found in it")
    return found


def _is_tabbed(text: str) -> bool:
    """Return whether most lines have a tab: Anki's text export of old, or of a table, without its head."""
    lines = [line for line in text.splitlines() if line.strip()]
    head = re.split(r"\t", lines[0].lower()) if lines else []
    named = {"question", "front"} & {name.strip() for name in head}
    return not named and sum("\t" in line for line in lines) * 2 > len(lines)


def _from_csv(text: str, source: str) -> Iterator[Item]:
    separator = max(",;\t", key=text.partition("\n")[0].count)
    head, *rows = list(csv.reader(io.StringIO(text), delimiter=separator)) or [[]]
    names = [name.strip().lower() for name in head]
    names = [{"front": "question", "back": "answer"}.get(name, name) for name in names]
    if not {"question", "answer"} <= set(names):
        if len(head) < 2:
            return
        names, rows = ["question", "answer"], [head, *rows]
    for row in rows:
        cells = dict(zip(names, (cell.removeprefix("'") for cell in row), strict=False))
        options = tuple(filter(None, cells.get("options", "").split("\n")))
        kind = cells.get("kind") or (MCQ if len(options) > 1 else FLASHCARD)
        if cells.get("question", "").strip() and cells.get("answer", "").strip():
            accepted = tuple(filter(None, cells.get("accepted", "").split("\n")))
            yield Item(
                kind,
                cells["question"].strip(),
                cells["answer"].strip(),
                _NOWHERE,
                options=options,
                accepted=accepted,
                explanation=cells.get("explanation", ""),
                objective=cells.get("objective", ""),
                made_by=source,
            )


_CLOZE = re.compile(r"\{\{c\d+::(.*?)(?:::.*?)?\}\}")
"""{{c1::word::hint}}"""


def _from_anki(text: str, source: str) -> Iterator[Item]:
    """Yield the notes of Anki's 'Notes in Plain Text': '#separator:tab', '#html:true', '#tags column:3', then rows."""
    head = re.match(r"(?:#[^:\n]+:.*\n?)*", text)
    settings = dict(re.findall(r"^#([^:\n]+):(.*)$", head[0], re.MULTILINE)) if head else {}
    body = text[head.end() :] if head else text
    shown = _line if settings.get("html", "").strip() == "false" else _text
    named = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|", "colon": ":"}
    separator = str(settings.get("separator", "tab")).strip()
    separator = named.get(separator.lower(), separator or "\t")
    aside = {int(value) - 1 for name, value in settings.items() if name.endswith(" column") and value.strip().isdigit()}
    for row in csv.reader(io.StringIO(body), delimiter=separator[:1]):
        fields = [shown(cell) for n, cell in enumerate(row) if n not in aside]
        if not fields or not fields[0]:
            continue
        blanks = _CLOZE.findall(fields[0])
        if blanks:
            asked = _CLOZE.sub(r"\1", _CLOZE.sub(BLANK, fields[0], count=1))
            yield Item(CLOZE, asked, blanks[0], _NOWHERE, made_by=source)
        elif len(fields) > 1 and fields[1]:
            yield Item(FLASHCARD, fields[0], fields[1], _NOWHERE, explanation=" ".join(fields[2:]), made_by=source)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("br", "div", "p", "li", "hr"):
            self.words.append(" ")


def _text(cell: str) -> str:
    parser = _Words()
    parser.feed(cell)
    parser.close()
    return " ".join("".join(parser.words).split())


_ANSWERS = re.compile(r"(?<!\\)\{((?:\\.|[^\\{}])*)(?<!\\)\}", re.DOTALL)


def _from_gift(text: str, source: str) -> Iterator[Item]:
    text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    for block in re.split(r"\n[ \t]*\n|\n(?=::)", text):
        if block.strip().startswith("$CATEGORY") or not (answers := _ANSWERS.search(block)):
            continue
        before = re.sub(r"^\s*::(?:\\.|[^\\:])*::", "", block[: answers.start()])
        before = re.sub(r"^\s*\[(?:html|markdown|plain|moodle)\]", "", before)
        after = block[answers.end() :].strip()
        said, _, why = answers[1].partition("####")
        if said.strip():
            yield _gift_item(_unescaped(before), _unescaped(after), said.strip(), _unescaped(why), source)
            continue
        parts = re.match(r"((?:\\[^n]|[^\\])*)(.*)", why, re.DOTALL)  # as `to_gift` writes what GIFT has no form for
        answer, why = map(_unescaped, parts.groups()) if parts else ("", "")
        if answer and before.strip():
            yield Item(FLASHCARD, _unescaped(f"{before} {after}"), answer, _NOWHERE, explanation=why, made_by=source)


def _gift_item(before: str, after: str, said: str, why: str, source: str) -> Item:
    asked = f"{before} {BLANK} {after}".replace(" .", ".") if after else before
    kind = CLOZE if after else SHORT
    if re.fullmatch(r"T(?:RUE)?|F(?:ALSE)?", said.split("#")[0].strip(), re.IGNORECASE):
        answer = "true" if said.strip()[0] in "Tt" else "false"
        return Item(TRUE_FALSE, before, answer, _NOWHERE, explanation=why, made_by=source)
    if said.startswith("#"):
        number = re.match(r"#\s*=?\s*(-?\d+(?:\.\d+)?)(?!\d*\.\.)", said)
        if number is None:
            return Item("range of numbers", before, said, _NOWHERE, made_by=source)  # left out, and told
        return Item(kind, asked, str(number[1]), _NOWHERE, explanation=why, made_by=source)
    parts = [
        (mark, float(weight or (100 if mark == "=" else 0)), _unescaped(re.split(r"(?<!\\)#", one)[0]))
        for mark, weight, one in re.findall(
            r"(?<!\\)([=~])\s*(?:%(-?\d+(?:\.\d+)?)%)?((?:\\.|[^\\=~])*)", said, re.DOTALL
        )
    ]
    right = [one for _, weight, one in parts if weight == 100 and one]
    wrong = [one for mark, weight, one in parts if mark == "~" and weight <= 0 and one]
    if not wrong and any("->" in one for one in right):
        return Item("matching", before, said, _NOWHERE, made_by=source)
    if not right:
        return Item("several right answers", before, said, _NOWHERE, made_by=source)
    if wrong:
        asked = asked.strip()
        return placed(Item(MCQ, asked, right[0], _NOWHERE, options=(right[0], *wrong), explanation=why, made_by=source))
    return Item(kind, asked, right[0], _NOWHERE, accepted=tuple(right[1:]), explanation=why, made_by=source)


def _unescaped(text: str) -> str:
    return " ".join(re.sub(r"\\(.)", lambda match: " " if match[1] == "n" else match[1], text).split())
