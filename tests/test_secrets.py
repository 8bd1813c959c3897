"""No secret stands here: tokens are put together from seeded random characters, so that no scanner trips."""

import base64
import random
import string
import time
from pathlib import Path

import pytest

from ingest.errors import Unreadable
from ingest.read import Block, Document, read
from ingest.secrets import Secret, entropy, find, mask, remark

LETTERS = string.ascii_letters
ALNUM = LETTERS + string.digits
BASE32 = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"


def rand(length: int, of: str = ALNUM) -> str:
    """Return characters that look random and are the same in each run."""
    return "".join(random.Random(length * 31 + len(of)).choices(of, k=length))


def base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


HEAD, CLAIMS = base64url('{"alg":"HS256","typ":"JWT"}'), base64url('{"sub":"ada","iat":1760000000}')
JWT = f"{HEAD}.{CLAIMS}.{rand(43)}"
KEY_BODY = "\n".join(rand(64, ALNUM + "+/") for _ in range(12))
PEM = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{KEY_BODY}\n-----END RSA {'PRIVATE'} KEY-----"

TOKENS = [
    ("AWS key", "AKIA" + rand(16, BASE32)),
    ("GitHub token", "ghp_" + rand(36)),
    ("GitHub token", f"github_pat_{rand(22)}_{rand(59)}"),
    ("GitLab token", "glpat-" + rand(20, ALNUM + "-_")),
    ("Slack token", f"xoxb-{rand(12, string.digits)}-{rand(13, string.digits)}-{rand(24)}"),
    ("Slack webhook", f"hooks.slack.com/services/T{rand(8, BASE32)}/B{rand(10, BASE32)}/{rand(24)}"),
    ("OpenAI key", f"sk-{rand(20)}{'T3Blbk'}FJ{rand(20)}"),
    ("OpenAI key", "sk-proj-" + rand(120, ALNUM + "-_")),
    ("OpenAI key", f"sk-proj-{rand(60)}xXxfOo-bAr{rand(60)}"),
    ("OpenAI key", f"sk-None-{rand(20)}{'T3Blbk'}FJ{rand(20)}"),
    ("API key", "sk-" + rand(32, HEX)),
    ("Anthropic key", "sk-ant-api03-" + rand(93, ALNUM + "-_") + "AA"),
    ("Anthropic key", "sk-ant-sid01-" + rand(93, ALNUM + "-_") + "AA"),
    ("xAI key", "xai-" + rand(80)),
    ("Perplexity key", "pplx-" + rand(48)),
    ("Langfuse key", f"sk-lf-{rand(8, HEX)}-{rand(4, HEX)}-{rand(4, HEX)}-{rand(4, HEX)}-{rand(12, HEX)}"),
    ("Hugging Face token", "hf_" + rand(34, LETTERS)),
    ("NVIDIA key", "nvapi-" + rand(64, ALNUM + "-_")),
    ("Google key", "AIza" + rand(35)),
    ("npm token", "npm_" + rand(36)),
    ("Tavily key", "tvly-" + rand(32)),
    ("Tavily key", "tvly-dev-" + rand(32)),
    ("Pinecone key", f"pcsk_{rand(6)}_{rand(63)}"),
    ("Replicate token", "r8_" + rand(37)),
    ("Stripe webhook secret", "whsec_" + rand(32)),
    ("Cerebras key", "csk-" + rand(48, string.ascii_lowercase + string.digits)),
    ("LangSmith key", f"lsv2_pt_{rand(32, HEX)}_{rand(10, HEX)}"),
    ("Together key", "tgp_v1_" + rand(43)),
    ("Jina key", "jina_" + rand(60)),
    ("Firecrawl key", "fc-" + rand(32, HEX)),
    ("E2B key", "e2b_" + rand(40, HEX)),
    ("Notion token", "ntn_" + rand(46)),
    ("Linear key", "lin_api_" + rand(40)),
    ("Postman key", f"PMAK-{rand(24, HEX)}-{rand(34, HEX)}"),
    ("Grafana token", f"glsa_{rand(32)}_{rand(8, HEX)}"),
    ("Vault token", "hvs." + rand(95)),
    ("Supabase token", "sbp_" + rand(40, HEX)),
    ("Doppler token", "dp.pt." + rand(43)),
    ("Shopify token", "shpat_" + rand(32, HEX)),
    ("Twilio key", "SK" + rand(32, HEX)),
    ("Mailgun key", "key-" + rand(32, HEX)),
    ("Discord webhook", f"discord.com/api/webhooks/{rand(18, string.digits)}/{rand(68)}"),
    ("age key", "AGE-SECRET-KEY-1" + rand(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L")),
    ("Telegram token", f"{rand(10, '123456789')}:AA{rand(33)}"),
    ("JSON web token", JWT),
    ("private key", PEM),
]


@pytest.mark.parametrize(("kind", "token"), TOKENS, ids=[token[:8] for _, token in TOKENS])
def test_a_token_is_found_where_it_stands(kind: str, token: str) -> None:
    before, after = "Überprüfe den Schlüssel 🔑 `", "` vor dem Kurs.\n"
    assert find(before + token + after) == [Secret(kind, len(before), len(before) + len(token))]


def test_a_token_next_to_a_script_without_spaces_is_found_and_one_in_a_word_is_not() -> None:
    key = "sk-" + rand(32, HEX)
    assert mask(f"密钥{key}。") == "密钥[API key hidden]。"
    assert find(f"task{key[1:]} and x-{key}") == []


@pytest.mark.parametrize(("kind", "token"), TOKENS, ids=[token[:8] for _, token in TOKENS])
def test_a_masked_text_holds_nothing_of_the_token(kind: str, token: str) -> None:
    masked = mask(f"first {token}\nthen {token}.\n")
    assert masked == f"first [{kind} hidden]\nthen [{kind} hidden].\n"


PASSWORD = "q7!Rw2m" + "Zx9k"
SECRET_40 = rand(40, ALNUM + "+/")


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ('password = "', PASSWORD, '"'),
        ("DB_PASSWORD=", PASSWORD, "\n"),
        ("- POSTGRES_PASSWORD=", PASSWORD, "\n"),
        ("export API_KEY=", "hunter2024", " # later\n"),
        ("password: ", PASSWORD, "\n"),
        ('{"client_secret": "', rand(32), '", "a": 1}'),
        ('os.environ["WANDB_API_KEY"] = "', rand(40, HEX), '"'),
        ("aws_secret_access_key = ", SECRET_40, "\n"),
        ("Authorization: Bearer ", rand(32), "\n"),
        ("postgres://ada:", PASSWORD, "@db.internal:5432/notes"),
        ("postgres://ada:", "Qwhrtz" + "Plmvgd", "@db.internal:5432/notes"),
        ("redis://:", "kfw" + "7rq", "@cache:6379/0"),
        ("İ İ İ password := '", PASSWORD, "'"),
    ],
)
def test_what_is_assigned_to_a_password_is_found(before: str, value: str, after: str) -> None:
    assert [(secret.start, secret.end) for secret in find(before + value + after)] == [
        (len(before), len(before) + len(value))
    ]


@pytest.mark.parametrize(
    "text",
    [
        'password = "changeme123"',
        "password: your-password-1",
        'api_key="sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx1"',
        "export HF_TOKEN=hf_" + "x" * 34,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
        "api_key = os.environ['OPENAI_API_KEY_2']",
        "api_key=${NGC_API_KEY}",
        "NGC_API_KEY=$NGC_API_KEY2",
        "token: the smallest unit that a model reads, about 4 characters",
        "password=$(cat /run/secrets/db1)",
        "def login(token: str, password: SecretStr256) -> None:",
        "secret_key = settings.layer1.weights",
        "secretName: registry-credentials-2",
        "max_tokens = 4096, pad_token_id=50256",
        'publicKeyToken="b03f5f7f11d50a3a"',
        "a private key begins with -----BEGIN " + "PRIVATE KEY-----, then comes base64, MIIE…",
        "sk-learn-compatible-estimators-for-time-series-forecasting-and-more",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwi" + "bmFtZSI6Ikpv.SflKxwRJSMeKKF2QT4",
        "http://user:password1@proxy.example.com",
        "the git commit 2c1743a391305fbf367df8e4f069f9f9b8b3c5d1",
    ],
)
def test_placeholders_names_and_prose_are_let_pass(text: str) -> None:
    assert find(text) == []


def test_a_private_key_that_a_chunk_cuts_off_is_masked_to_its_last_character() -> None:
    assert mask("see\n" + PEM[:400]) == "see\n[private key hidden]"


def test_two_forms_of_one_secret_count_once_by_the_better_name() -> None:
    token = "hf_" + rand(34, LETTERS)
    text = f'HF_TOKEN = "{token}"'
    assert find(text) == [Secret("Hugging Face token", 12, 12 + len(token))]


def test_the_remark_names_kind_and_place_and_never_the_secret() -> None:
    token, password = "AKIA" + rand(16, BASE32), PASSWORD
    text = f"# Lab\n\nkey {token}\n\npassword: {password}\n"
    at = text.index("password")
    document = Document(
        text, "Lab", (Block(7, at - 2, "text", (), "§ Lab"), Block(at, len(text), "text", (), "page 3"))
    )
    assert remark(document) == "holds what looks like 2 secrets (AWS key, line 3; password, page 3)"
    assert remark(Document("nothing here", "", ())) == ""
    many = Document("\n".join(f"password: {password}{n}" for n in range(5)), "", ())
    assert remark(many) == (
        "holds what looks like 5 secrets (password, line 1; password, line 2; password, line 3; 2 more)"
    )


def test_entropy_is_that_of_shannon() -> None:
    assert [entropy(text) for text in ("aaaa", "abab", "abcd")] == [0, 1, 2]


@pytest.mark.parametrize(
    "unit",
    [
        *("password=", "password:Ab1!xy9Q,", "api_key=", "bearer a1", "://aaaaaa:bbbbbb@", "eyJ", "eyJaaaaaaaaa."),
        *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "xoxb-", "sk-proj-", "İ", "a", "\n"),
    ],
)
def test_no_text_takes_longer_than_its_length_asks_for(unit: str) -> None:
    text = unit * (500_000 // len(unit))
    started = time.process_time()
    find(text)
    assert time.process_time() - started < 2  # 0.03 to 0.2 s; a quadratic one would take minutes


def test_the_starter_notes_hold_no_secret() -> None:
    corpus = Path(__file__).parent.parent / "corpus"
    assert _alarms(corpus) == []


@pytest.mark.evaldata
def test_eight_hundred_course_notes_give_no_false_alarm(evaldata: Path) -> None:
    assert _alarms(evaldata) == []


def _alarms(folder: Path) -> list[str]:
    found = []
    for path in folder.rglob("*.*"):
        try:
            document = read(path, path.read_bytes())
        except (Unreadable, OSError):
            continue
        found += [f"{path}: {secret}" for secret in find(document.text)]
    return found
