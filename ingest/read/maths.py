"""A formula becomes a line of text: Word's OMML and the web's MathML, written as one would type them.

    <m:f><m:num>…QKᵀ…</m:num><m:den>…√d…</m:den></m:f>   QKᵀ/(√d)

Brackets are set wherever the line could be read in two ways.
"""

from collections.abc import Iterator

from ingest.read.markup import Element, attribute, local

_HIDDEN = {"annotation", "annotation-xml", "mphantom", "rPr", "ctrlPr"}


def formula(element: Element) -> str:
    """Return the formula in `element` as plain text, or as TeX between dollars where it carries its TeX."""
    tex = next((note.text for note in element.iter("{*}annotation") if "tex" in attribute(note, "encoding")), None)
    tex = tex or attribute(element, "alttext")
    if tex:
        return f"${' '.join(tex.split())}$"
    try:
        return _linear(element)
    except RecursionError:  # nobody writes a formula hundreds of levels deep
        return "".join(element.itertext())


def _linear(element: Element) -> str:
    name = local(element)
    if name in {"t", "mi", "mn", "mo", "mtext", "ms"}:
        return element.text or ""
    children = list(_children(element))
    parts = [_linear(child) for child in children]
    match name, parts:
        case "f" | "mfrac", [above, below]:
            return f"{_group(above)}/{_group(below)}"
        case "sSup" | "msup" | "mover" | "limUpp", [base, up]:
            return f"{base}^{_group(up)}"
        case "sSub" | "msub" | "munder" | "limLow", [base, down]:
            return f"{base}_{_group(down)}"
        case "sSubSup" | "msubsup" | "munderover", [base, down, up]:
            return f"{base}_{_group(down)}^{_group(up)}"
        case "nary", [down, up, body]:
            sign = attribute(element.find("{*}naryPr/{*}chr"), "val") or "∫"
            limits = (f"_{_group(down)}" if down else "") + (f"^{_group(up)}" if up else "")
            return f"{sign}{limits} {body}"
        case "rad", [*_, body]:
            degree = parts[0] if len(parts) == 2 else ""
            return f"{degree}√{_group(body)}"
        case "mroot", [body, degree]:
            return f"{degree}√{_group(body)}"
        case "msqrt", _:
            return f"√{_group(''.join(parts))}"
        case "func", [function, argument]:
            return f"{function} {argument}"
        case "d", _:
            opening = element.find("{*}dPr/{*}begChr")
            closing = element.find("{*}dPr/{*}endChr")
            return (
                ("(" if opening is None else attribute(opening, "val"))
                + ", ".join(parts)
                + (")" if closing is None else attribute(closing, "val"))
            )
        case "m" | "mtable", _:
            return f"[{'; '.join(parts)}]"
        case "mr" | "mtr", _:
            return ", ".join(parts)
    return "".join(parts)


def _children(element: Element) -> Iterator[Element]:
    for child in element:
        name = local(child)
        if name and name not in _HIDDEN and not name.endswith("Pr"):
            yield child


def _group(text: str) -> str:
    text = text.strip()
    return text if len(text) < 2 or text.isalnum() else f"({text})"
