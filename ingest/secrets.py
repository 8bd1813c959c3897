"""Secrets that stand in notes are found, so that the report can warn of them and traces don't repeat them.

    export DB_PASSWORD=q7!Rw2mZx    →    Secret(kind="password", start=19, end=28)

A token is known by the prefix that its maker gives it; a password by the name it is assigned to, and by looking
like one. Course notes are full of `token: str` and `password = "changeme"`: placeholders, names, words and calls
are let pass. Own patterns, because detect-secrets 1.5 (of 2024) reads 0.8 MB/s without its entropy detectors
and 0.1 MB/s with them, gives no positions, and knows no Hugging Face, NVIDIA or Anthropic key (docs/LOG.md).
"""

import base64
import json
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ingest.read import Document


@dataclass(frozen=True, slots=True)
class Secret:
    """Where something that looks like a secret stands; never what it is."""

    kind: str
    """What it seems to be: 'AWS key', 'private key', 'password'."""
    start: int
    """Code point in the text."""
    end: int
    """One past the last."""


class _Token(NamedTuple):
    kind: str
    prefix: str
    rest: re.Pattern[str]
    """What follows the prefix."""


def _tokens(kind: str, prefixes: str, rest: str) -> list[_Token]:
    return [_Token(kind, prefix, re.compile(rest, re.ASCII)) for prefix in prefixes.split()]


_TOKENS = (
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html: unique ids, in base 32
    *_tokens("AWS key", "AKIA ASIA ABIA ACCA", r"[A-Z2-7]{16}(?!\w)"),
    # github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats
    *_tokens("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,251}(?!\w)"),
    *_tokens("GitHub token", "github_pat_", r"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?!\w)"),
    # docs.gitlab.com/security/tokens: token prefixes
    *_tokens(
        "GitLab token",
        "glpat- gloas- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- glsoat- glffct- glwt-",
        r"[\w-]{20,300}(?:\.[\w-]{2,20}){0,3}",
    ),
    # docs.slack.dev/authentication/tokens; incoming webhooks
    *_tokens("Slack token", "xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxe- xoxe.", r"(?:xox[bp]-)?[\w-]{20,300}"),
    *_tokens("Slack token", "xapp-", r"\d-[A-Z0-9]{8,15}-\d{8,15}-[a-f0-9]{32,80}"),
    *_tokens("Slack webhook", "hooks.slack.com/", r"(?:services|workflows)/[A-Z]\w{7,15}/\w{8,20}/\w{20,60}"),
    # github.com/gitleaks/gitleaks, config/gitleaks.toml: T3BlbkFJ is 'OpenAI' in base 64
    *_tokens("OpenAI key", "sk-", r"[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}(?!\w)"),
    *_tokens("OpenAI key", "sk-proj- sk-svcacct- sk-admin- sk-None-", r"[\w-]{40,250}"),
    *_tokens("Anthropic key", "sk-ant-", r"(?:api|admin|oat|ort|sid)\d\d-[\w-]{60,120}"),
    *_tokens("OpenRouter key", "sk-or-v1-", r"[0-9a-f]{64}"),
    *_tokens("Langfuse key", "sk-lf-", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    # DeepSeek and others whose servers speak OpenAI's protocol: 32 to 64 letters and digits, no hyphen
    *_tokens("API key", "sk-", r"[A-Za-z0-9]{32,64}(?![\w-])"),
    *_tokens("xAI key", "xai-", r"[A-Za-z0-9]{70,90}(?!\w)"),
    *_tokens("Perplexity key", "pplx-", r"[A-Za-z0-9]{48}(?!\w)"),
    *_tokens("Groq key", "gsk_", r"[A-Za-z0-9]{52}(?!\w)"),
    # gitleaks, as above: 34 letters; earlier ones have digits too
    *_tokens("Hugging Face token", "hf_ api_org_", r"[A-Za-z0-9]{34}(?!\w)"),
    # docs.nvidia.com/ngc: personal and service keys; older ones have no prefix
    *_tokens("NVIDIA key", "nvapi-", r"[\w-]{60,80}"),
    # cloud.google.com/docs/authentication/api-keys; OAuth client secrets and access tokens, from gitleaks
    *_tokens("Google key", "AIza", r"[\w-]{35}(?![\w-])"),
    *_tokens("Google client secret", "GOCSPX-", r"[\w-]{28}(?![\w-])"),
    *_tokens("Google token", "ya29.", r"[\w-]{30,2000}"),
    # the rest from gitleaks too
    *_tokens("Stripe key", "sk_live_ rk_live_", r"[A-Za-z0-9]{20,250}"),
    *_tokens("npm token", "npm_", r"[A-Za-z0-9]{36}(?!\w)"),
    *_tokens("PyPI token", "pypi-AgEI", r"[\w-]{50,500}"),
    *_tokens("Docker token", "dckr_pat_", r"[\w-]{27}(?![\w-])"),
    *_tokens("SendGrid key", "SG.", r"[\w-]{22}\.[\w-]{43}(?![\w-])"),
    *_tokens("Databricks token", "dapi", r"[0-9a-f]{32}(?!\w)"),
    # their makers' documentation
    *_tokens("Tavily key", "tvly-", r"(?:dev-|prod-)?[A-Za-z0-9]{32,64}(?!\w)"),
    *_tokens("Pinecone key", "pcsk_", r"[A-Za-z0-9]{2,10}_[A-Za-z0-9]{50,80}(?!\w)"),
    *_tokens("Replicate token", "r8_", r"[A-Za-z0-9]{37}(?!\w)"),
    *_tokens("Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/]{32,64}={0,2}(?!\w)"),
    *_tokens("Cerebras key", "csk-", r"[a-z0-9]{48}(?!\w)"),
    *_tokens("LangSmith key", "lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}_[0-9a-f]{10}(?!\w)"),
    *_tokens("Together key", "tgp_v1_", r"[\w-]{43}(?![\w-])"),
    *_tokens("Jina key", "jina_", r"[\w-]{60}(?![\w-])"),
    *_tokens("Firecrawl key", "fc-", r"[0-9a-f]{32}(?!\w)"),
    *_tokens("E2B key", "e2b_", r"[0-9a-f]{40}(?!\w)"),
    *_tokens("Notion token", "ntn_", r"[A-Za-z0-9]{46}(?!\w)"),
    *_tokens("Notion token", "secret_", r"[A-Za-z0-9]{43}(?!\w)"),
    *_tokens("Linear key", "lin_api_", r"[A-Za-z0-9]{40}(?!\w)"),
    *_tokens("Postman key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}(?!\w)"),
    *_tokens("Grafana token", "glsa_", r"[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}(?!\w)"),
    *_tokens("Vault token", "hvs.", r"[\w-]{90,300}"),
    *_tokens("Supabase token", "sbp_", r"[0-9a-f]{40}(?!\w)"),
    *_tokens("Doppler token", "dp.pt.", r"[A-Za-z0-9]{40,44}(?!\w)"),
    *_tokens("Shopify token", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32}(?!\w)"),
    *_tokens("Twilio key", "SK", r"[0-9a-f]{32}(?!\w)"),
    *_tokens("Mailgun key", "key-", r"[0-9a-f]{32}(?!\w)"),
    *_tokens("Discord webhook", "discord.com/api/webhooks/", r"\d{17,20}/[\w-]{60,80}"),
    *_tokens("age key", "AGE-SECRET-KEY-1", r"[02-9AC-HJ-NP-Z]{58}(?!\w)"),
    *_tokens("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}"),
)

_BOT = re.compile(r"(?<![\w-])\d{8,10}:AA[\w-]{32,33}(?![\w-])", re.ASCII)
"""A Telegram bot's number and its token: core.telegram.org/bots/features, 'Creating a new bot'."""
_KEY_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_MOST = 16_000
"""Longest body of a private key, in code points; one of 16,384 bits has 12,800."""
_KEY_LINE = re.compile(r"(?:[A-Za-z0-9+/]{8}){5}")
"""What every line of a key has, and no `MIIE…` of a tutorial."""
_KEY_TAIL = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_KEY_REST = re.compile(r"[A-Za-z0-9+/=]*")
"""What is left of the last line, in a text that ends within a key."""
_JWT = re.compile(r"(eyJ[\w-]{8,2000}+)\.eyJ[\w-]{8,8000}+\.[\w-]{16,2000}", re.ASCII)
"""RFC 7519, section 3.1; 'eyJ' is '{"' in base 64."""
_JWT_SAMPLES = ("eyJzdWIiOiIxMjM0NTY3ODkwI", "eyJsb2dnZWRJbkFzIjoiYWRtaW4i")
"""How the payloads begin that jwt.io and Wikipedia show."""
_IN_ADDRESS = re.compile(r"://[^\s/:@\"'<>]{0,64}:(?P<value>[^\s/@\"'<>]{6,100})@[\w\[]")

_IN_WORD = re.compile(r"[\w-]", re.ASCII)
_BY_NAME = ("password", "key or token")
"""What is known only by what it is assigned to."""
_NAMES = ("passw", "passphrase", "pwd", "secret", "token", "key", "credential", "bearer ")
_ASSIGNED = re.compile(
    r"""(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|key)(?![a-z])
        (?:[_-](?:key|token|secret|value|base64|prod|dev|\d{1,3}))?
        (?:
            ["'`\])]{0,2} [ \t]{0,8} (?: :=|=>|==?|: ) [ \t]{0,8}   # name = value, "name": "value"
            | [ \t]{1,4} (?=["'`])                                    # token "value"
        )
        (?:[brfu]{0,2}(?P<quote>["'`]))?
        (?P<value>[^\s"'`<>]{8,300})""",
    re.VERBOSE,
)
_BEARER = re.compile(r"bearer +(?P<value>[\w.~+/-]{20,2000})", re.ASCII)
_BEFORE_KEY = re.compile(r"(?:api|access|private|account|auth|secret|encryption|signing|shared|storage)[_\-. ]?\Z")
_PUBLIC = re.compile(r"public[_\-. ]?(?:key)?[_\-. ]?\Z")
_ENV_FILE = re.compile(r"(?:\A|\n)[ \t]*(?:export[ \t]+|set[ \t]+|-[ \t]+|-e[ \t]+)?[A-Z][A-Z0-9_]*=\Z")
_CODE = re.compile(r"[(\[{|,]|\A[!$%&*#@/~.\\-]|->|://|\.\.\.|…|\A[\w.]+=\w")
_TEMPLATE = re.compile(r"\$\{|\$\(|\{\{|%\(|\{\w*\}|\A\$\w+\Z|\A%\w+%\Z|…|\.\.\.|://")
_SAMPLE_WORDS = (
    r"example|your|change|dummy|placeholder|sample|demo|fake|secret|passw|token|api_?key|1234|abcd|redact"
    r"|private|public|insert|here|todo|none|null|undefined|default|string|optional|requir|replace|hidden|mask"
)
_PLACEHOLDER = re.compile(_SAMPLE_WORDS + r"|\*\*\*|xxx|foo|bar|(.)\1{3}", re.IGNORECASE)
_SAMPLE_TOKEN = re.compile(_SAMPLE_WORDS + r"|x{5}|(.)\1{4}", re.IGNORECASE)
"""Three letters such as 'foo' stand by chance in one of fifty keys of 150."""
_WORDS = re.compile(r"[A-Za-z]*\d{0,4}(?:[-_./:+@][A-Za-z]*\d{0,4})+")
"""Names of things: gpt-4-turbo, model.layer1.weight, db-credentials-2."""


def find(text: str) -> list[Secret]:
    """Return what looks like a secret, in order, not overlapping.

    Takes time linear in the length of `text`, whatever it holds: some 0.1 s for a million code points.
    """
    every = [*_prefixed(text), *_bots(text), *_private_keys(text), *_web_tokens(text), *_passwords(text)]
    found: list[Secret] = []
    for secret in sorted(every, key=lambda secret: secret.start):
        if found and secret.start < found[-1].end:
            last = found[-1]
            kind = secret.kind if last.kind in _BY_NAME else last.kind
            found[-1] = Secret(kind, last.start, max(last.end, secret.end))
        else:
            found.append(secret)
    return found


def mask(text: str) -> str:
    """Return text with each secret replaced by its kind in brackets: for traces, logs and reports."""
    parts, at = [], 0
    for secret in find(text):
        parts += [text[at : secret.start], f"[{secret.kind} hidden]"]
        at = secret.end
    return "".join([*parts, text[at:]])


def remark(document: Document, most: int = 3) -> str:
    """Return what to tell of a document's secrets without repeating them; empty where it has none.

    'holds what looks like 2 secrets (AWS key, line 14; password, page 3)'

    Args:
        document: As it was read.
        most: How many places are named.
    """
    secrets = find(document.text)
    if not secrets:
        return ""
    places = [f"{secret.kind}, {_place(document, secret.start)}" for secret in secrets[:most]]
    places += [f"{len(secrets) - most} more"] * (len(secrets) > most)
    count = "a secret" if len(secrets) == 1 else f"{len(secrets)} secrets"
    return f"holds what looks like {count} ({'; '.join(places)})"


def _place(document: Document, offset: int) -> str:
    """Return the block's locator, or the line where that is only a heading, which may be far above."""
    before = bisect_right(document.blocks, offset, key=lambda block: block.start)
    locator = document.blocks[before - 1].locator if before else ""
    if locator and not locator.startswith(("§", "line")):
        return mask(locator)
    return f"line {document.text.count(chr(10), 0, offset) + 1}"


def _places(text: str, words: str, *, at_start: bool = False) -> Iterator[int]:
    """Yield where `words` stand; if `at_start`, only where no longer word ends with them.

    Scripts without spaces set a key next to their letters: only ASCII ones make it part of a word.
    """
    at = text.find(words)
    while at >= 0:
        if not at_start or not _IN_WORD.match(text, at - 1 if at else len(text)):
            yield at
        at = text.find(words, at + len(words))


def _prefixed(text: str) -> Iterator[Secret]:
    for kind, prefix, rest in _TOKENS:
        for at in _places(text, prefix, at_start=True):
            match = rest.match(text, at + len(prefix))
            if match and _varied(match[0]) and not _SAMPLE_TOKEN.search(match[0]):
                yield Secret(kind, at, match.end())


def _bots(text: str) -> Iterator[Secret]:
    for at in _places(text, ":AA"):
        begin = max(0, at - 11)  # where its number would begin, and the character before it
        if (match := _BOT.search(text, begin, at + 40)) and _varied(match[0]) and not _SAMPLE_TOKEN.search(match[0]):
            yield Secret("Telegram token", *match.span())


def _varied(value: str) -> bool:
    """Return whether a token's characters differ as those of random ones do, not as in a placeholder."""
    return len(set(value)) >= min(8, len(value) // 2)


def _private_keys(text: str) -> Iterator[Secret]:
    for at in _places(text, "-----BEGIN "):
        if not (head := _KEY_HEAD.match(text, at)):
            continue
        stop = text.find("-----", head.end(), head.end() + _KEY_MOST)
        body_end = stop if stop >= 0 else min(len(text), head.end() + _KEY_MOST)
        lines = list(_KEY_LINE.finditer(text, head.end(), body_end))
        if not lines:
            continue
        tail = _KEY_TAIL.match(text, stop) if stop >= 0 else _KEY_REST.match(text, lines[-1].end())
        yield Secret("private key", at, tail.end() if tail else body_end)


def _web_tokens(text: str) -> Iterator[Secret]:
    for at in _places(text, "eyJ", at_start=True):
        if not (match := _JWT.match(text, at)) or any(part in match[0] for part in _JWT_SAMPLES):
            continue
        try:
            head = json.loads(base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)))
        except (ValueError, RecursionError):
            continue
        if isinstance(head, dict) and "alg" in head:
            yield Secret("JSON web token", at, match.end())


def _passwords(text: str) -> Iterator[Secret]:
    for at in _places(text, "://"):
        if (match := _IN_ADDRESS.match(text, at)) and _is_password(match["value"]):
            yield Secret(_BY_NAME[0], *match.span("value"))
    # One code point in Unicode becomes two in lower case.
    lower = text.replace("\u0130", "I").lower()
    for name in _NAMES:
        end = 0
        for at in _places(lower, name):
            if at < end or not (match := (_BEARER if name == "bearer " else _ASSIGNED).match(lower, at)):
                continue
            before = lower[max(0, at - 12) : at]
            if _PUBLIC.search(before) or (name == "key" and not _BEFORE_KEY.search(before)):
                continue
            start, end = match.span("value")
            quoted = name != "bearer " and bool(match["quote"])
            line = text[max(0, start - 100) : start]
            value = text[start:end].rstrip(",;:.)]}\\" if not quoted else "\\")
            if _looks_secret(value, plain=quoted or bool(_ENV_FILE.search(line))):
                kind = _BY_NAME[name not in ("passw", "passphrase", "pwd")]
                yield Secret(kind, start, start + len(value))


def _is_password(value: str) -> bool:
    """Return whether what stands between name and host in an address is more than a placeholder."""
    sample = _TEMPLATE.search(value) or _PLACEHOLDER.search(value) or _WORDS.fullmatch(value)
    return not sample and sum(_sorts(value)) >= 2


def _sorts(value: str) -> list[bool]:
    """Return whether there are lower case letters, capitals, digits, and other characters."""
    sorts = [any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit)]
    return [*sorts, any(not character.isalnum() for character in value)]


def _looks_secret(value: str, *, plain: bool) -> bool:
    """Return whether a value is a secret rather than a word, a name, a placeholder or an expression.

    Args:
        value: What is assigned.
        plain: It stands in quotes or in an environment file, so it is a value and no prose or code.
    """
    sorts = _sorts(value)
    if (
        len(value) < 8
        or not sorts[2]
        or not (sorts[0] or sorts[1])
        or (_TEMPLATE if plain else _CODE).search(value)
        or _PLACEHOLDER.search(value)
        or _WORDS.fullmatch(value)
    ):
        return False
    bits = entropy(value)
    if plain:
        return bits >= 2.5
    return (sum(sorts) >= 3 and bits >= 2.75) or (len(value) >= 20 and bits >= 3.25)


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters, in bits a character: 0 for 'aaaa', 2 for 'abcd'."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
