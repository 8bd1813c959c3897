"""Text of models and notes → HTML that can do nothing but be read.

What they wrote is Markdown at best and an attack at worst. Markdown is rendered with HTML off, and the result passes
an allow-list: no image, no link, no form, no style, so that nothing on the screen can be sent anywhere. [n] becomes a
button that opens the n-th source; a sentence without support is marked for eye and ear.
"""

import html
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from assistant.cite import UNSUPPORTED
from assistant.visible import visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TAGS = set(
    "p br hr strong em s code pre ul ol li blockquote table thead tbody tr th td h1 h2 h3 h4 h5 h6 button span".split()
)
_ATTRIBUTES = {
    "button": {"class", "type", "data-do", "data-n", "aria-label"},
    "span": {"class", "title"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "th": {"scope"},
}
_MARK = re.compile(r"\[(\d{1,3})\]|" + re.escape(UNSUPPORTED))


def escaped(text: str) -> str:
    """Return text as it is read, safe in HTML and in an attribute's quotes."""
    return html.escape(visible(text))


def failed(reason: str) -> str:
    """Return why something did not come about; a screen reader says it at once."""
    return f'<p class="failed" role="alert">{escaped(reason)}</p>'


def remark(text: str) -> str:
    """Return a quiet line."""
    return f'<p class="remark">{escaped(text)}</p>'


def empty(text: str, kind: str = "source") -> str:
    """Return a panel in which nothing is but a few words; `kind`: source or question."""
    return f'<section class="{kind} empty"><p>{escaped(text)}</p></section>'


def sentence(text: str) -> str:
    """Return text with a capital at its beginning; an address at its beginning stays as it is."""
    return text if "://" in text.split(" ", 1)[0] else text[:1].upper() + text[1:]


def answer_html(marked: str, citations: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return an answer as HTML.

    Args:
        marked: Markdown with [n] and UNSUPPORTED marks.
        citations: As in `Answer.as_json`; they name the buttons. A mark without one stays a plain number.
    """
    import nh3

    names = {citation["n"]: f"{citation['path']}, {citation['locator']}" for citation in citations}
    rendered = _markdown().render(visible(marked), {"sources": names})
    return str(nh3.clean(rendered, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=set()))


def chip(n: int, name: str, action: str = "source") -> str:
    """Return the button that opens a source, or with the action `passage` a passage."""
    label = f"Source {n}: {escaped(name)}"
    return f'<button type="button" class="chip" data-do="{action}" data-n="{n}" aria-label="{label}">{n}</button>'


def footnotes(marked: str, citations: Sequence[Mapping[str, Any]]) -> str:
    """Return an answer as Markdown with footnotes, to be pasted elsewhere."""
    numbers = {citation["n"] for citation in citations}
    text = re.sub(r" ?\[(\d{1,3})\]", lambda mark: f"[^{mark[1]}]" if int(mark[1]) in numbers else mark[0], marked)
    notes = [
        f"[^{citation['n']}]: {citation['path']}, {citation['locator']}: “{' '.join(citation['quote'].split())}”"
        for citation in citations
    ]
    return visible("\n\n".join([text.strip(), "\n".join(notes)]).strip()) + "\n"


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["image"])
    made.core.ruler.push("marks", _replace_marks)
    made.add_render_rule("link_open", lambda *_: "")
    made.add_render_rule("link_close", _address)
    made.add_render_rule("fence", _fence)
    made.add_render_rule("code_block", _fence)
    return made


def _replace_marks(state: Any) -> None:
    """Turn the marks in running text into HTML of ours; code keeps what looks like one."""
    from markdown_it.token import Token

    for block in state.tokens:
        children = []
        for token in block.children or []:
            if token.type != "text":
                children.append(token)
                continue
            at = 0
            for mark in _MARK.finditer(token.content):
                children.append(Token("text", "", 0, content=token.content[at : mark.start()].rstrip(" ")))
                children.append(Token("html_inline", "", 0, content=_mark(mark, state.env["sources"])))
                at = mark.end()
            children.append(Token("text", "", 0, content=token.content[at:]))
        block.children = children if block.children is not None else None


def _mark(mark: re.Match[str], sources: Mapping[int, str]) -> str:
    if not mark[1]:
        why = "No cited passage has the words of this sentence"
        return f' <span class="unsupported" title="{why}">not in the cited passages</span>'
    n = int(mark[1])
    return chip(n, sources[n]) if n in sources else f'<span class="chip waiting">{n}</span>'


def _address(renderer: Any, tokens: "Sequence[Token]", at: int, *_: Any) -> str:
    """Show where a link would lead, since it leads nowhere here."""
    opening = next(token for token in reversed(tokens[:at]) if token.type == "link_open")
    words = "".join(token.content for token in tokens[tokens.index(opening) : at])
    target = str(opening.attrGet("href") or "")
    return "" if words == target else f" ({html.escape(target)})"


def _fence(renderer: Any, tokens: "Sequence[Token]", at: int, *_: Any) -> str:
    """A code block scrolls, so the keyboard must reach it."""
    return f'<pre tabindex="0"><code>{html.escape(tokens[at].content)}</code></pre>\n'
