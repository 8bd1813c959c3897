"""reStructuredText, Org, AsciiDoc and LaTeX: the file's own text, below its headings."""

from pathlib import Path

import pytest

from ingest import read as reading
from ingest.read.outline import read
from tests.readings import damaged, headings, kinds, survives, told

RST = """\
Sharding
========

FSDP shards parameters.

Stages
------

ZeRO has three stages::

    stage 1

=====  =====
stage  saves
=====  =====

Costs
-----
An all-gather per layer.
"""


def test_rst_headings_are_told_by_their_underlines() -> None:
    document = read(Path("a.rst"), RST.encode())
    assert document.title == "Sharding"
    assert told(document) == [
        ("§ Sharding", "FSDP shards parameters."),
        ("§ Stages", "ZeRO has three stages::"),
        ("§ Stages", "stage 1"),
        ("§ Stages", "=====  =====\nstage  saves\n=====  ====="),
        ("§ Costs", "An all-gather per layer."),
    ]
    assert headings(document)[1:4] == [("Stages",)] * 3


def test_rst_overlined_headings_stand_above_underlined_ones() -> None:
    text = "=====\nA & B\n=====\n\nOne.\n\nDeeper\n======\n\nTwo.\n\n=====\nC & D\n=====\n\nThree.\n"
    document = read(Path("a.rst"), text.encode())
    assert (document.title, headings(document)) == ("", [("A & B",), ("A & B", "Deeper"), ("C & D",)])


ORG = """\
#+TITLE: Notes on sharding
Before any heading.

* TODO ZeRO                                              :train:memory:
Three stages.
** Code
#+BEGIN_SRC python
* no heading

shard(parameters)
#+END_SRC
"""


def test_org_headings_lose_their_marks_and_source_stays_whole() -> None:
    document = read(Path("a.org"), ORG.encode())
    assert document.title == "Notes on sharding"
    assert told(document) == [
        ("line 1", "#+TITLE: Notes on sharding\nBefore any heading."),
        ("§ ZeRO", "Three stages."),
        ("§ Code", "#+BEGIN_SRC python\n* no heading\n\nshard(parameters)\n#+END_SRC"),
    ]
    assert (kinds(document)[2], headings(document)[2]) == ("code", ("ZeRO", "Code"))


def test_asciidoc_keeps_listings_and_tables_whole() -> None:
    text = (
        "= Sharding\n\nIntro.\n\n== Stages\n\n|===\n|1 |2\n\n|3 |4\n|===\n\n----\n== no heading\n\nx = 1\n----\nEnd.\n"
    )
    document = read(Path("a.adoc"), text.encode())
    assert document.title == "Sharding"
    assert told(document) == [
        ("§ Sharding", "Intro."),
        ("§ Stages", "|===\n|1 |2\n\n|3 |4\n|==="),
        ("§ Stages", "----\n== no heading\n\nx = 1\n----"),
        ("§ Stages", "End."),
    ]
    assert headings(document) == [(), ("Stages",), ("Stages",), ("Stages",)]


TEX = r"""\documentclass{article}
\title{Sharding of \emph{large} models}

\begin{document}
\maketitle

\section{ZeRO}\label{sec:zero}
Parameters are sharded.

\subsection*{Costs}
\begin{equation}
  c = 3 \Psi

\end{equation}
Each rank holds $1/N$.
\end{document}
"""


def test_latex_is_found_by_its_sections_and_its_preamble_is_no_passage() -> None:
    document = read(Path("a.tex"), TEX.encode())
    assert document.title == "Sharding of large models"
    assert [place for place, _ in told(document)] == ["line 1", "line 4", "§ ZeRO", "§ Costs", "§ Costs"]
    assert kinds(document) == ["meta", "text", "text", "code", "text"]
    assert told(document)[3][1] == "\\begin{equation}\n  c = 3 \\Psi\n\n\\end{equation}"
    assert headings(document)[4] == ("ZeRO", "Costs")


def test_a_part_without_headings_is_found_by_its_lines() -> None:
    assert told(read(Path("a.tex"), b"One.\n\nTwo.\n")) == [("line 1", "One."), ("line 3", "Two.")]


def test_headings_alone_are_found() -> None:
    assert told(read(Path("a.adoc"), b"= One\n\n== Two\n")) == [("line 1", "= One"), ("line 3", "== Two")]


@pytest.mark.parametrize("suffix", [".qmd", ".rmd", ".Rmd"])
def test_kin_of_markdown_is_read_as_markdown(suffix: str) -> None:
    document = reading.read(Path(f"a{suffix}"), b"---\ntitle: Notes\n---\n\n## One\n\n```{r}\n# no heading\n```\n")
    assert (document.title, kinds(document)) == ("Notes", ["meta", "code"])


@pytest.mark.parametrize(("name", "text"), [("a.rst", RST), ("a.org", ORG), ("a.tex", TEX)])
def test_damaged_files_are_read_or_refused(name: str, text: str) -> None:
    assert survives(read, name, damaged(text.encode(), times=200, seed=1)) > 50


@pytest.mark.parametrize("suffix", [".rst", ".org", ".adoc", ".tex"])
@pytest.mark.timeout(30)
def test_a_quarter_of_a_megabyte_of_marks_takes_no_time(suffix: str) -> None:
    lines = [
        "----\n",
        "= a\n",
        "* a\n",
        "#+begin_x\n",
        "\\begin{verbatim}\n",
        "\\section{{{{\n",
        "a\n---\n",
        "*" * 80 + "\n",
    ]
    survives(read, f"a{suffix}", ((line * ((1 << 18) // len(line))).encode() for line in lines))
