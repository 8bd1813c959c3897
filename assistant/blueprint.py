"""A plan's file becomes a blueprint: what is to be learned, in which order, how much of it counts, what proves it.

    objectives:
      - {id: rdma, domain: networks, phase: basics, hours: 2, text: "Explain RDMA, InfiniBand and RoCE."}

assistant/plans/README.md describes the format; the plans that we ship lie beside it. What does not keep to it is
refused in one line: the file, the line in it, what is wrong and what to do.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from assistant.errors import NoSuchPlan
from assistant.fields import Fields, open_fields

DAYS_A_WEEK = 7
KINDS = ("exam", "roadmap")


@dataclass(frozen=True, slots=True)
class Source:
    """Where facts of a plan come from."""

    what: str
    checked: datetime.date


@dataclass(frozen=True, slots=True)
class Exam:
    """The exam that a plan leads to."""

    code: str
    questions: int
    minutes: int
    fee_usd: float = 0
    """0: not said."""
    valid_months: int = 0
    """0: not said, or for ever."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the plan."""

    id: str
    title: str
    days: int
    goal: str
    """What is there at its end."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A subject."""

    id: str
    title: str
    weight: float
    """Per cent of the exam, or of the roadmap's time."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Something to be learned."""

    id: str
    text: str
    """One sentence; notes and items are searched for by it."""
    domain: str
    phase: str
    hours: float
    about: tuple[str, ...] = ()
    """Terms, one of which an item about it has in its words; none: where its note was found decides."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """What shows that a phase is done."""

    id: str
    text: str
    phase: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """An exam to take on the way."""

    id: str
    title: str
    phase: str
    code: str = ""
    fee_usd: float = 0
    """0: not said."""
    valid_months: int = 0
    """0: not said, or for ever."""
    date: datetime.date | None = None
    """When it is to be taken; None: not fixed."""


@dataclass(frozen=True, slots=True)
class Lab:
    """Something to be done with the hands."""

    id: str
    text: str
    phase: str
    hours: float


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A plan that keeps to the format."""

    id: str
    title: str
    kind: str
    """exam or roadmap."""
    about: str
    days: int
    """The whole plan, slack included."""
    slack_days: int
    """Of these, kept free."""
    hours_per_week: float
    phases: tuple[Phase, ...]
    """In order; their days and the slack make the whole."""
    domains: tuple[Domain, ...]
    """Their weights make 100."""
    objectives: tuple[Objective, ...]
    milestones: tuple[Milestone, ...]
    certificates: tuple[Certificate, ...]
    labs: tuple[Lab, ...]
    sources: tuple[Source, ...]
    exam: Exam | None


def shipped() -> list[str]:
    """Return the names of the plans that come with the program."""
    folder = resources.files("assistant") / "plans"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def named(home: Path) -> list[str]:
    """Return the names of all plans: those that are shipped, and the learner's own."""
    return sorted({*shipped(), *(file.stem for file in (home.expanduser() / "plans").glob("*.yaml"))})


def find(name: str, home: Path) -> Blueprint:
    """Load a plan by its path or name; the learner's own (`home`/plans) hide those that are shipped.

    Raises:
        NoSuchPlan: Nothing has that name.
        BlueprintRejected: It does not keep to the format.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise NoSuchPlan(name, shipped())
        return load(path)
    own = home.expanduser() / "plans"
    if (path := own / f"{name}.yaml").is_file():
        return load(path)
    if name not in shipped():
        raise NoSuchPlan(name, named(home))
    with resources.as_file(resources.files("assistant") / "plans" / f"{name}.yaml") as path:
        return load(path)


def load(path: Path) -> Blueprint:
    """Load a plan's file.

    Raises:
        BlueprintRejected: It can't be read, or does not keep to the format.
    """
    return _blueprint(open_fields(path))


def _blueprint(top: Fields) -> Blueprint:
    id_, title, about = top.id(), top.text("title"), top.text("about")
    kind = top.one_of("kind", KINDS)
    if ("weeks" in top) == ("days" in top):
        top.refuse("say how long the plan is, by weeks: or by days:, and not by both")
    unit = "weeks" if "weeks" in top else "days"
    length = DAYS_A_WEEK if unit == "weeks" else 1
    days, slack = top.whole(unit, least=1) * length, top.whole("slack", needed=False) * length
    hours_per_week = top.number("hours_per_week", least=0.1)
    phases = tuple(_phase(part, unit, length) for part in top.parts("phases"))
    domains = tuple(_domain(part) for part in top.parts("domains"))
    _refuse_twins("phases", phases, top)
    _refuse_twins("domains", domains, top)
    in_phases, in_domains = [phase.id for phase in phases], [domain.id for domain in domains]
    objectives = tuple(_objective(part, in_phases, in_domains) for part in top.parts("objectives"))
    milestones = tuple(_milestone(part, in_phases) for part in top.parts("milestones", needed=False))
    certificates = tuple(_certificate(part, in_phases) for part in top.parts("certificates", needed=False))
    labs = tuple(_lab(part, in_phases) for part in top.parts("labs", needed=False))
    sources = tuple(_source(part) for part in top.parts("sources", needed=False))
    exam = _exam(part) if (part := top.part("exam")) else None
    top.end()
    made = Blueprint(
        id=id_,
        title=title,
        kind=kind,
        about=about,
        days=days,
        slack_days=slack,
        hours_per_week=hours_per_week,
        phases=phases,
        domains=domains,
        objectives=objectives,
        milestones=milestones,
        certificates=certificates,
        labs=labs,
        sources=sources,
        exam=exam,
    )
    _check(made, top, unit, length)
    return made


def _phase(part: Fields, unit: str, length: int) -> Phase:
    made = Phase(part.id(), part.text("title"), part.whole(unit, least=1) * length, part.text("goal"))
    part.end()
    return made


def _domain(part: Fields) -> Domain:
    made = Domain(part.id(), part.text("title"), part.number("weight"))
    part.end()
    return made


def _objective(part: Fields, phases: Sequence[str], domains: Sequence[str]) -> Objective:
    made = Objective(
        part.id(),
        part.text("text"),
        part.one_of("domain", domains),
        part.one_of("phase", phases),
        part.number("hours", least=0.1),
        tuple(term.strip() for term in part.text("about", needed=False).split(",") if term.strip()),
    )
    part.end()
    return made


def _milestone(part: Fields, phases: Sequence[str]) -> Milestone:
    made = Milestone(part.id(), part.text("text"), part.one_of("phase", phases))
    part.end()
    return made


def _certificate(part: Fields, phases: Sequence[str]) -> Certificate:
    made = Certificate(
        part.id(),
        part.text("title"),
        part.one_of("phase", phases),
        part.text("code", needed=False),
        part.number("fee_usd", needed=False),
        part.whole("valid_months", needed=False),
        part.date("date", needed=False),
    )
    part.end()
    return made


def _lab(part: Fields, phases: Sequence[str]) -> Lab:
    made = Lab(part.id(), part.text("text"), part.one_of("phase", phases), part.number("hours", least=0.1))
    part.end()
    return made


def _source(part: Fields) -> Source:
    checked = part.date("checked")
    assert checked is not None
    made = Source(part.text("what"), checked)
    part.end()
    return made


def _exam(part: Fields) -> Exam:
    made = Exam(
        part.text("code"),
        part.whole("questions", least=1),
        part.whole("minutes", least=1),
        part.number("fee_usd", needed=False),
        part.whole("valid_months", needed=False),
    )
    part.end()
    return made


class _Named(Protocol):
    @property
    def id(self) -> str: ...


def _check(made: Blueprint, top: Fields, unit: str, length: int) -> None:
    """Refuse what no single entry shows: sums, ids that stand twice, domains without objectives."""
    if made.kind == "exam" and made.exam is None:
        top.refuse("an exam needs exam: {code: …, questions: …, minutes: …}; add it, or write kind: roadmap", "kind")
    done: list[_Named] = [*made.objectives, *made.milestones, *made.certificates, *made.labs]
    _refuse_twins("objectives", done, top, "objectives, milestones, certificates and labs")
    planned = sum(phase.days for phase in made.phases) + made.slack_days
    if planned != made.days:
        top.refuse(
            f"the phases and the slack make {planned // length} {unit}, the plan has {made.days // length}; "
            "correct one of them",
            "phases",
        )
    if abs((weights := sum(domain.weight for domain in made.domains)) - 100) > 0.01:
        top.refuse(f"the weights of the domains make {weights:g}; make them 100", "domains")
    asked = {objective.domain for objective in made.objectives}
    for domain in made.domains:
        if domain.id not in asked:
            top.refuse(f"the domain {domain.id} has no objective; add one, or take it out", "domains")
    for phase in made.phases:
        _check_hours(phase, made, top)


def _refuse_twins(field: str, entries: Iterable[_Named], top: Fields, among: str = "") -> None:
    for name, count in Counter(entry.id for entry in entries).items():
        if count > 1:
            top.refuse(f"the id {name} stands {count} times among the {among or field}; rename all but one", field)


def _check_hours(phase: Phase, made: Blueprint, top: Fields) -> None:
    room = phase.days * made.hours_per_week / DAYS_A_WEEK
    needed = sum(part.hours for part in made.objectives if part.phase == phase.id)
    needed += sum(lab.hours for lab in made.labs if lab.phase == phase.id)
    if needed > room + 0.01:
        top.refuse(
            f"the phase {phase.id} has room for {room:.3g} hours, its objectives and labs need {needed:.3g}; "
            "give it more time, or them less",
            "phases",
        )
