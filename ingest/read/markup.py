"""XML and HTML bytes become trees: no network, no DTD, no entity is ever expanded.

Tags are compared by their local name, so that the namespaces of Word, strict Open XML and XHTML read alike.
"""

import re
from typing import TypeAlias

import lxml.html
from lxml import etree

Element: TypeAlias = etree._Element


def local(element: Element) -> str:
    """Return an element's name without its namespace; '' for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element | None, name: str) -> str:
    """Return the attribute with the local name `name`, or ''."""
    if element is None:
        return ""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")


def whole(text: str, default: int) -> int:
    """Return the number from 0 on that a text is, or `default`; digits without end, as of a hostile file, are none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else default


def nothing() -> Element:
    """Return an element to read in place of one that is not there."""
    return etree.Element("nothing")


def xml(data: bytes) -> tuple[Element, str]:
    """Parse XML; what is malformed is read as far as it goes.

    Returns:
        The root, `nothing()` where nothing could be read; and what is wrong with it, or ''.
    """
    wrong = ""
    for recover in (False, True):
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            recover=recover,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(data, parser)
        except Exception as error:  # lxml raises its own, ValueError, LookupError and others on hostile bytes
            _check_memory(error)
            wrong = wrong or f"malformed XML: {str(error).partition(' (<string>')[0]}"
            continue
        if root is None:
            break
        dtd = root.getroottree().docinfo.internalDTD
        if dtd is not None and any(True for _ in dtd.iterentities()):
            return nothing(), "declares XML entities, which are not read"
        return root, wrong
    return nothing(), wrong or "no XML element"


def html(text: str) -> tuple[Element, str]:
    """Parse HTML as a browser would; returns what `xml` does."""
    parser = lxml.html.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        root = lxml.html.document_fromstring(text.encode(), parser)
    except Exception as error:  # lxml raises its own, ValueError and others on hostile bytes
        _check_memory(error)
        return nothing(), f"no HTML: {error}"
    fatal = next((entry.message for entry in parser.error_log if entry.level_name == "FATAL"), "")
    if deep := re.match(r"Excessive depth in document: (\d+)", fatal):
        fatal = f"its elements are nested more than {deep[1]} deep"
    return root, f"{fatal.partition(',')[0]}; read as far as it goes" if fatal else ""


def _check_memory(error: Exception) -> None:
    """Raise MemoryError if that is what lxml means: the file is not to blame, whoever called knows what to do."""
    if isinstance(error, MemoryError) or getattr(error, "code", 0) == etree.ErrorTypes.ERR_NO_MEMORY:
        raise MemoryError from error


def walk(root: Element) -> "etree.iterwalk":
    """Iterate over ('start' or 'end', element); `skip_subtree()` jumps to the end of the last element."""
    return etree.iterwalk(root, events=("start", "end"))
