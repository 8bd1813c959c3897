"""Which notes serve an objective, and which objective an item is about."""

from dataclasses import replace
from pathlib import Path

from assistant.blueprint import load
from assistant.cover import cover, name_of
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.planned import RDMA, World, item
from tests.test_blueprint import SMALL, written


def test_an_item_belongs_to_the_objective_of_its_chunk_or_to_that_it_was_made_for(world: World) -> None:
    own, made = item(1), item(2, objective=name_of("my-exam", "tiers"))
    of_another_plan, elsewhere = item(3, "c-else", name_of("other", "tiers")), item(4, "c-else")
    found = world.coverage.by_objective([own, made, of_another_plan, elsewhere])
    assert found == {"rdma": [own], "tiers": [made]}


def test_terms_of_an_objective_tell_its_items_from_others_beside_them(world: World) -> None:
    about = {"rdma": ("RDMA", "RoCE*", "-price"), "tiers": ("NVMe", "parallel file system")}
    coverage = replace(world.coverage, about=about)

    def of(question: str, answer: str, chunk: str = "c-rdma", objective: str = "", made_by: str = "rule: x") -> str:
        made = replace(item(1, chunk, objective), question=question, answer=answer, made_by=made_by)
        return "".join(id_ for id_, found in coverage.by_objective([made]).items() if found)

    assert of("What does RoCEv2 carry?", "RDMA") == "rdma"
    assert of("What is a port? (RDMA)", "a socket") == ""  # the heading is where it stands, not what it is about
    assert of("What is the price of RDMA?", "much") == ""
    assert of("What are parallel file systems?", "many servers") == "tiers"  # though it stands in another's chunk
    assert of("What is NVMe?", "a drive", "c-else") == "tiers"
    assert of("What is NVMe over RDMA?", "a protocol", "c-else") == ""  # two are named: neither is sure
    assert of("What is a port?", "a socket", objective="my-exam/rdma") == ""
    assert of("What is a port?", "a socket", objective="my-exam/rdma", made_by="model x") == "rdma"


def test_notes_cover_what_they_speak_of_and_nothing_else(tmp_path: Path, settings: AssistantSettings) -> None:
    (settings.notes / "networks.md").write_text(RDMA)
    plan = load(written(tmp_path, SMALL.replace("Explain RDMA.", "Explain RDMA, InfiniBand and RoCE on Ethernet.")))
    shelf = Shelf(settings)
    assert {id_: one.covered for id_, one in cover(plan, shelf, settings).objectives.items()} == {
        "rdma": False,
        "tiers": False,
    }
    sync(shelf)
    found = cover(plan, shelf, settings)
    assert {id_: one.covered for id_, one in found.objectives.items()} == {"rdma": True, "tiers": False}
    assert [(one.path, one.locator) for one in found.objectives["rdma"].passages] == [("networks.md", "§ RDMA")]
    kept = next((shelf.folder / "plans").glob("*.json"))
    kept.write_text(kept.read_text().replace("§ RDMA", "from the file"))
    assert cover(plan, shelf, settings).objectives["rdma"].passages[0].locator == "from the file"
    (settings.notes / "tiers.md").write_text("# Storage tiers\n\nChoose storage tiers: NVMe, then object storage.\n")
    sync(shelf)
    again = cover(plan, shelf, settings)
    assert again.objectives["tiers"].covered
    assert again.objectives["rdma"].passages[0].locator == "§ RDMA"
    kept.write_text("[]")
    assert cover(plan, shelf, settings) == again
