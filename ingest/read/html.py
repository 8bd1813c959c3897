"""Web pages (.html, .htm, .xhtml): what a page says, without what its site puts around it. EPUB chapters too.

    <body><nav>…</nav><main><h1>Sharding</h1><p>FSDP shards <em>parameters</em> …</p></main></body>

The main part is taken where the page marks one and little would be lost; where the boilerplate rules would
take away much of the page they are not believed. Scripts do not run, and nothing is fetched.
"""

import html
import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.compose import Draft, fit, one_line, raised, table_text
from ingest.read.markup import Element, attribute, local, walk, whole, xml
from ingest.read.markup import html as parse
from ingest.read.maths import formula
from ingest.read.text import decode

_CHARSET = re.compile(
    rb"""<(?:meta\b[^>]{0,200}?\bcharset|\?xml\b[^>]{0,200}?\bencoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I
)
_TEXT_CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|iso-?8859-\d+|latin-?\d|windows-\d+|cp\d+|koi8-[ru]|gb\w*|big5\w*|euc-\w+|shift[_-]jis|iso-2022-jp"
)
_XHTML = re.compile(r"\s*<\?xml\b|(?s:.{0,1000}?)http://www\.w3\.org/1999/xhtml")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)\w{2,31};")

_SILENT = {
    "script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "audio", "video", "head",
    "button", "select", "textarea", "input", "datalist", "rp", "rt",
}  # fmt: skip
_AROUND = {"nav", "footer", "header", "aside"}
_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog"}
_NOISE = re.compile(
    r"cookie|consent|gdpr|onetrust|newsletter|subscribe|breadcrumb|\bshar(?:e|ing)\b|\bsocial\b|skip-?(?:link|to|nav)"
    r"|side-?bar|\bnav(?:bar|igation)?\b|\bmenu\b|header-?link|anchor-?link|edit-?section|paginat|\bpager\b|\brelated\b"
    r"|advert|\bads?\b|promo|popup|\bmodal\b|toolbar|line-?nos?\b|\bgutter\b|katex-html|mathjax_preview|\bsite-header\b"
    r"|masthead|\bfooter\b|\bbanner\b|comments?-(?:area|list|section)|disqus|\btoc\b|table-of-contents",
    re.I,
)
_ASIDE_KEPT = re.compile(r"\b(?:note|tip|warning|caution|important|admonition|callout|footnotes?|sidenote)\b", re.I)
_MAIN_SHARE = 0.6
"""Least share of the page's words that its main part must hold to be taken for the whole."""

_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_LISTS = {"ul", "ol", "dl", "menu", "dir"}
_BLOCKS = _HEADINGS | _LISTS | {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog",
    "div", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html",
    "legend", "li", "main", "nav", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr",
}  # fmt: skip
_ANCHORS = {"¶", "§", "#", "🔗"}
"""What a link from a heading to itself is called."""
_BREAK = "\0"
"""A line break that is meant, unlike those of the source; no NUL is in a page that was made fit."""
_CELL = 1000
"""Code points past which a table's cell shows that the table only lays out the page."""


def read(path: Path, data: bytes) -> Document:
    """Read a web page; each block is found by its heading."""
    text, remark = decoded(data)
    root, wrong = page(text)
    if wrong and not len(root):
        raise Unreadable("failed", wrong)
    main, noise = _content(root)
    draft = Draft()
    draft.lost += [f"page: {wrong}"] if wrong else []
    flow(main, draft, noise)
    return draft.document(title=_title(root), remark=remark)


def page(text: str) -> tuple[Element, str]:
    """Return the tree of a page, and what is wrong with it.

    Well-formed XHTML is read as XML, everything else as browsers read HTML.
    """
    text = fit(text)
    if _XHTML.match(text):
        plain = _ENTITY.sub(lambda match: html.unescape(match[0]).replace("&", "&amp;").replace("<", "&lt;"), text)
        root, wrong = xml(re.sub(r"\A\s*<\?xml.*?\?>", "", plain).encode())
        if not wrong:
            return root, ""
    return parse(text)


def flow(root: Element, draft: Draft, skipped: Iterable[Element] = ()) -> None:
    """Lay all that stands under `root` into a draft, but for what is skipped."""
    _Flow(draft, set(skipped)).run(root)


def decoded(data: bytes) -> tuple[str, str]:
    """Return a page's text in the encoding that it declares, and a remark where that is not all true."""
    declared = _CHARSET.search(data[:4096])
    name = declared[1].decode().lower() if declared else ""
    if data[:3] == b"\xef\xbb\xbf" or data[:2] in (b"\xff\xfe", b"\xfe\xff") or not _TEXT_CHARSET.fullmatch(name):
        return decode(data)
    name = {"iso-8859-1": "windows-1252", "latin-1": "windows-1252", "latin1": "windows-1252"}.get(name, name)
    try:
        return data.decode(name), ""
    except LookupError:
        return decode(data)
    except UnicodeDecodeError as error:
        return data.decode(name, "replace"), f"declared as {name}, but not from byte {error.start} on"


def _title(root: Element) -> str:
    return next((name for tag in ("title", "h1") for found in root.iter(f"{{*}}{tag}") if (name := _plain(found))), "")


def _content(root: Element) -> tuple[Element, set[Element]]:
    """Return the part of the page to read, and what to skip in it."""
    body = next(root.iter("{*}body"), root)
    survey = _Survey(body)
    skipped = set(survey.outside)
    for kind in ("around", "noise"):
        if survey.sizes[kind] > survey.sizes["content"]:
            skipped -= {element for element, its in survey.outside.items() if its == kind}
    main = max(survey.mains, key=survey.mains.__getitem__, default=body)
    whole = len(skipped) < len(survey.outside) or survey.mains.get(main, 0) < _MAIN_SHARE * survey.sizes["content"]
    return (body if whole else main), skipped


class _Survey:
    """What a page's elements are by their names, and how many characters of text stand in each sort."""

    def __init__(self, body: Element) -> None:
        self.outside: dict[Element, str] = {}
        """The outermost elements that are no content: 'around' by their tag, 'noise' by class, id or role."""
        self.mains: dict[Element, int] = {}
        """Elements that call themselves the main part, and the size of their content."""
        self.sizes = {"content": 0, "around": 0, "noise": 0}
        mains = [*body.iter("{*}main"), *body.iterfind(".//*[@role='main']")]
        holders = {above for main in mains[:9] for above in main.iterancestors()}
        begun: dict[Element, int] = {}
        outer = None
        walker = walk(body)
        for event, element in walker:
            if event == "end":
                outer = None if element is outer else outer
                if element in begun:
                    self.mains[element] = self.sizes["content"] - begun.pop(element)
                text = element.tail if element is not body else ""
            elif local(element) in _SILENT:
                walker.skip_subtree()
                text = ""
            else:
                if outer is None and element is not body and element not in holders:
                    sort = _sort(element, inside=bool(begun))
                    if sort in ("around", "noise"):
                        outer = element
                        self.outside[element] = sort
                    elif sort == "main":
                        begun[element] = self.sizes["content"]
                text = element.text
            self.sizes["content" if outer is None else self.outside[outer]] += len((text or "").strip())


def _sort(element: Element, *, inside: bool) -> str:
    """Return 'main', 'around', 'noise' or '' for an element, by its names; `inside` is within a main part."""
    name, role = local(element), attribute(element, "role")
    names = f"{attribute(element, 'class')} {role} {attribute(element, 'type')}"
    if name in ("main", "article") or role == "main":
        return "main"
    if name in _AROUND and not (name == "header" and inside) and not (name == "aside" and _ASIDE_KEPT.search(names)):
        return "around"
    if name in ("div", "ul", "table", "td", "form") and "section" not in names:
        names += f" {attribute(element, 'id')}"
    return "noise" if role in _ROLES or _NOISE.search(names) else ""


class _Flow:
    """Elements on their way into a draft, one after another."""

    def __init__(self, draft: Draft, skipped: set[Element]) -> None:
        self._draft = draft
        self._skipped = skipped
        self._line: list[str] = []
        self._lists: list[int | None] = []
        """The lists that are open: the number of the last item, None where items are not numbered."""
        self._items: list[str] = []
        self._mark = ""
        """What stands before the next line of a list."""

    def run(self, root: Element) -> None:
        """Lay everything under `root`."""
        walker = walk(root)
        passed = None
        for event, element in walker:
            name = local(element)
            if event == "start" and (element in self._skipped or self._whole(element, name)):
                passed = element
                walker.skip_subtree()
            elif event == "start":
                self._start(element, name)
                self._line.append(element.text or "")
            else:
                if element is not passed:
                    self._end(name)
                if element is not root:
                    self._line.append(element.tail or "")
        self._close()

    def _whole(self, element: Element, name: str) -> bool:
        """Lay an element that is read as one; False for one whose children come one by one."""
        instead = _instead(element, name)
        if instead is not None:
            self._line.append(instead)
        elif name in _HEADINGS:
            self._close()
            self._draft.head(int(name[1]), _plain(element, self._skipped))
        elif name == "pre":
            self._close()
            self._draft.add("".join(_pieces(element, self._skipped, breaks=False)), "code")
        elif name == "table" and (rows := _rows(element, self._skipped)):
            self._close()
            self._draft.add(table_text(rows), "table")
        else:
            return False
        return True

    def _start(self, element: Element, name: str) -> None:
        if name in _BLOCKS:
            self._break()
        if name in _LISTS:
            self._lists.append(whole(attribute(element, "start"), 1) - 1 if name == "ol" else None)
        elif name in ("li", "dt") and self._lists:
            number = self._lists[-1]
            if number is not None:
                number = self._lists[-1] = whole(attribute(element, "value"), number + 1)
            self._mark = "- " if number is None else f"{number}. "

    def _end(self, name: str) -> None:
        if name in _BLOCKS:
            self._break()
        if name in _LISTS and self._lists:
            self._lists.pop()
            self._mark = ""
            if not self._lists:
                self._close()

    def _break(self) -> None:
        """End a paragraph, or a line of a list."""
        lines = [one_line(line) for line in "".join(self._line).split(_BREAK)]
        self._line = []
        text = "\n".join(lines).strip()
        if not text:
            return
        if self._lists:
            self._items.append("  " * (len(self._lists) - 1) + (self._mark or "  ") + text.replace("\n", " "))
            self._mark = ""
        else:
            self._draft.add(text)

    def _close(self) -> None:
        """End a paragraph, and the list so far."""
        self._break()
        if self._items:
            self._draft.add("\n".join(self._items), "list")
            self._items = []


def _instead(element: Element, name: str) -> str | None:
    """Return what is read in place of an element that does not read as it stands, None for any other."""
    if name == "script" and attribute(element, "type").startswith("math/tex"):
        return f"${one_line(element.text or '')}$"
    if name in _SILENT or (name == "a" and (element.text or "").strip() in _ANCHORS and not len(element)):
        return ""
    if name == "math":
        return formula(element)
    if name == "br":
        return _BREAK
    if name == "sup" and not len(element):
        return raised(element.text or "")
    return None


def _pieces(root: Element, skipped: Container[Element] = (), *, breaks: bool = True) -> Iterator[str]:
    """Yield the text under an element, with a space where a block begins or ends if `breaks`."""
    walker = walk(root)
    for event, element in walker:
        name = local(element)
        instead = _instead(element, name) if event == "start" and element is not root else None
        if event == "start" and element in skipped:
            walker.skip_subtree()
        elif instead is not None:
            yield instead.replace(_BREAK, "\n")
            walker.skip_subtree()
        elif event == "start":
            yield (" " if breaks and name in _BLOCKS else "") + (element.text or "")
        elif element is not root:
            yield (" " if breaks and name in _BLOCKS else "") + (element.tail or "")


def _plain(element: Element, skipped: Container[Element] = ()) -> str:
    return one_line("".join(_pieces(element, skipped)))


def _rows(table: Element, skipped: Container[Element]) -> list[list[str]]:
    """Return the cells of a table of data; nothing for a table that lays out a page."""
    if attribute(table, "role") in ("presentation", "none"):
        return []
    if any(table is not inner for inner in table.iter("{*}table", "{*}pre", *(f"{{*}}{name}" for name in _HEADINGS))):
        return []
    rows = []
    for row in table.iter("{*}tr"):
        cells: list[str] = []
        for cell in row:
            if local(cell) in ("td", "th") and cell not in skipped:
                span = whole(attribute(cell, "colspan"), 1)
                cells += [_plain(cell, skipped), *[""] * (min(span, 50) - 1)]
        rows.append(cells)
    wide = max(map(len, rows), default=0) > 1
    return rows if wide and all(len(cell) <= _CELL for row in rows for cell in row) else []
