"""Plans are read whole or refused in one line; those that are shipped keep to the format and to their promises."""

import datetime
from pathlib import Path

import pytest

from assistant.blueprint import Blueprint, Certificate, Exam, Objective, find, load, shipped
from assistant.errors import BlueprintRejected, NoSuchPlan
from tests.conftest import ROOT

SMALL = """\
id: my-exam
title: My exam
kind: exam
about: A plan to test with.
sources:
  - {what: The vendor's page, checked: 2026-11-21}
weeks: 5
slack: 1
hours_per_week: 6
exam: {code: X-1, questions: 50, minutes: 60}
phases:
  - {id: basics, title: Basics, weeks: 3, goal: Words}
  - {id: practice, title: Practice, weeks: 1, goal: Deeds}
domains:
  - {id: networks, title: Networks, weight: 60}
  - {id: storage, title: Storage, weight: 40}
objectives:
  - {id: rdma, domain: networks, phase: basics, hours: 2, text: "Explain RDMA."}
  - {id: tiers, domain: storage, phase: practice, hours: 4, text: "Choose storage tiers."}
milestones:
  - {id: first-test, phase: basics, text: A test}
certificates:
  - {id: x-1, phase: practice, title: Certificate X, fee_usd: 125, date: 2027-03-01}
labs:
  - {id: measure, phase: practice, hours: 2, text: Measure a link.}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(BlueprintRejected) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(path))


def test_a_plan_is_read_with_all_that_it_holds(tmp_path: Path) -> None:
    plan = load(written(tmp_path, SMALL))
    assert (plan.id, plan.kind, plan.days, plan.slack_days, plan.hours_per_week) == ("my-exam", "exam", 35, 7, 6)
    assert [(phase.id, phase.days) for phase in plan.phases] == [("basics", 21), ("practice", 7)]
    assert [(domain.id, domain.weight) for domain in plan.domains] == [("networks", 60), ("storage", 40)]
    assert plan.objectives[0].about == ()
    told = SMALL.replace('"Explain RDMA."', '"Explain RDMA.", about: "RDMA, RoCE*, -price"')
    assert load(written(tmp_path, told)).objectives[0].about == ("RDMA", "RoCE*", "-price")
    assert plan.objectives[0] == Objective("rdma", "Explain RDMA.", "networks", "basics", 2)
    assert plan.certificates == (
        Certificate("x-1", "Certificate X", "practice", fee_usd=125, date=datetime.date(2027, 3, 1)),
    )
    assert plan.exam == Exam("X-1", 50, 60)
    assert plan.milestones[0].text == "A test"
    assert plan.labs[0].hours == 2
    assert plan.sources[0].checked == datetime.date(2026, 11, 21)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight: 40", "weight: 30", ", line 14: the weights of the domains make 90; make them 100"),
        (
            "weeks: 5",
            "weeks: 6",
            ", line 11: the phases and the slack make 5 weeks, the plan has 6; correct one of them",
        ),
        (
            "id: tiers",
            "id: measure",
            ", line 17: the id measure stands 2 times among the objectives, milestones, certificates and labs; "
            "rename all but one",
        ),
        (
            "id: practice, title",
            "id: basics, title",
            ", line 11: the id basics stands 2 times among the phases; rename all but one",
        ),
        (
            "domain: storage",
            "domain: storge",
            ", line 19: objectives tiers: there is no domain storge; write storage",
        ),
        (
            'hours: 2, text: "Ex',
            'hous: 2, text: "Ex',
            ", line 18: objectives rdma: hours is missing; is hous meant for it?",
        ),
        (
            "phase: basics, text: A test",
            "phase: basics, text: A test, weight: 3",
            ", line 21: milestones first-test: weight is no field of it; take it out",
        ),
        ("slack: 1", "slacks: 1\nslack: 1", ", line 8: slacks is no field of it; is slack meant?"),
        ("hours: 4", "hours: four", ", line 19: objectives tiers: hours is 'four'; write a number of at least 0.1"),
        ("hours: 4", "hours: .nan", ", line 19: objectives tiers: hours is nan; write a number of at least 0.1"),
        ("weeks: 3", "weeks: 2.5", ", line 12: phases basics: weeks is 2.5; write a whole number"),
        (
            "title: Basics",
            "title: no",
            ", line 12: phases basics: title is False; write words, in quotes if YAML takes them for something else",
        ),
        (
            "id: rdma",
            "id: RDMA",
            ", line 18: objectives RDMA: the id 'RDMA' has other characters than a–z, 0–9 "
            "and single hyphens between them; rename it",
        ),
        ("2027-03-01", "March", ", line 23: certificates x-1: date is 'March'; write a date as 2027-03-01"),
        ("kind: exam", "kind: quiz", ", line 3: there is no kind quiz; write one of: exam, roadmap"),
        (
            "exam: {code: X-1, questions: 50, minutes: 60}\n",
            "",
            ", line 3: an exam needs exam: {code: …, questions: …, minutes: …}; add it, or write kind: roadmap",
        ),
        (
            "weeks: 5",
            "weeks: 5\ndays: 35",
            ", line 1: say how long the plan is, by weeks: or by days:, and not by both",
        ),
        (
            "hours: 4",
            "hours: 5",
            ", line 11: the phase practice has room for 6 hours, its objectives and labs need 7; "
            "give it more time, or them less",
        ),
        (
            "domain: storage",
            "domain: networks",
            ", line 14: the domain storage has no objective; add one, or take it out",
        ),
        ("title: My exam", "title: My exam\ntitle: Yours", ", line 3: no YAML (title stands twice); correct it"),
        ("domains:", "domains: 3\nothers:", ", line 14: domains is no list of entries; write each as: - {id: …}"),
        ("labs:", "labs: [a]\nothers:", ", line 24: labs is no list of entries; write each as: - {id: …}"),
        ("title: My exam", "? [a]\n: b", ", line 2: no YAML (the key ['a'] is no word); correct it"),
        (
            "{code: X-1,",
            "{code: X-1, code: ]",
            ", line 10: no YAML (expected the node content, but found ']'); correct it",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place_and_remedy(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert SMALL.count(old) == 1 or old in ("weeks: 5", "slack: 1")
    assert refused(tmp_path, SMALL.replace(old, new, 1)) == message


@pytest.mark.parametrize(
    "text", ["", "- a\n", "\x00", "a: &a [*a]", "[" * 5000, "id: !!python/name:os.system x", "2026-99-99"]
)
def test_what_is_no_plan_at_all_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text)


def test_a_file_that_is_not_there_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlueprintRejected, match=r"none\.yaml: can't be read \(No such file or directory\)"):
        load(tmp_path / "none.yaml")
    assert refused(tmp_path, "#" * 1_000_001) == ": is larger than 1,000,000 bytes; a plan is some hundred lines"


def test_own_plans_hide_shipped_ones_and_an_unknown_name_lists_them(tmp_path: Path) -> None:
    assert find("nca-aiio", tmp_path).exam == Exam("NCA-AIIO", 50, 60, 125, 24)
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "nca-aiio.yaml").write_text(SMALL, encoding="utf-8")
    assert find("nca-aiio", tmp_path).id == "my-exam"
    assert find(str(tmp_path / "plans" / "nca-aiio.yaml"), tmp_path).id == "my-exam"
    with pytest.raises(
        NoSuchPlan, match="there is no plan nca; plans: ai-infrastructure-90-days, cloud-data-engineer, "
    ):
        find("nca", tmp_path)
    with pytest.raises(NoSuchPlan):
        find("../plans/nca-aiio.yaml", tmp_path)


def plan(name: str) -> Blueprint:
    return find(name, ROOT / "none")


def test_four_plans_are_shipped_and_each_is_called_as_its_file(tmp_path: Path) -> None:
    names = ["ai-infrastructure-90-days", "cloud-data-engineer", "nca-aiio", "software-engineer-to-ai-architect"]
    assert shipped() == names
    assert [plan(name).id for name in names] == names
    assert all(len(plan(name).objectives) > 20 and plan(name).sources for name in names)


def test_the_year_to_ai_architect_has_forty_weeks_of_work_and_twelve_of_slack() -> None:
    year = plan("software-engineer-to-ai-architect")
    assert [phase.days // 7 for phase in year.phases] == [12, 10, 8, 6, 4]
    assert (year.days, year.slack_days) == (52 * 7, 12 * 7)
    assert {milestone.phase for milestone in year.milestones} == {phase.id for phase in year.phases}


def test_the_ninety_days_have_their_eight_phases() -> None:
    journey = plan("ai-infrastructure-90-days")
    assert [(phase.title, phase.days) for phase in journey.phases] == [
        ("Setup", 5),
        ("ML foundations", 13),
        ("Distributed training", 14),
        ("Optimization", 12),
        ("AI infrastructure", 16),
        ("Flagship project", 14),
        ("Multimodal", 7),
        ("Interview sprint", 9),
    ]
    assert journey.days == 90


def test_the_cloud_and_data_engineer_has_three_phases() -> None:
    assert [phase.days // 7 for phase in plan("cloud-data-engineer").phases] == [6, 8, 8]


def test_nca_aiio_has_the_weights_of_the_exam_and_hours_that_follow_them() -> None:
    exam = plan("nca-aiio")
    assert [(domain.title, domain.weight) for domain in exam.domains] == [
        ("Essential AI knowledge", 38),
        ("AI infrastructure", 40),
        ("AI operations", 22),
    ]
    hours = sum(objective.hours for objective in exam.objectives)
    for domain in exam.domains:
        share = 100 * sum(part.hours for part in exam.objectives if part.domain == domain.id) / hours
        assert abs(share - domain.weight) < 2


def test_the_example_of_the_readme_is_a_plan(tmp_path: Path) -> None:
    readme = (ROOT / "assistant" / "plans" / "README.md").read_text(encoding="utf-8")
    assert load(written(tmp_path, readme.split("```yaml\n")[1].split("```")[0])).id == "my-exam"
