"""Talk with a model server: settings without patience, the model behind an address, its whole answer."""

import time
from collections.abc import Callable

from assistant.llm import Absent, LanguageModel, find
from assistant.settings import AssistantSettings
from tests.fake_openai import FakeServer

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is FSDP?"}]
KEY = "sk-very-secret-0123456789"


def settings(url: str, **values: object) -> AssistantSettings:
    quick = {"llm_first_token_s": 0.6, "llm_stall_s": 0.6, "llm_connect_ms": 2000}
    return AssistantSettings.model_validate({"llm_url": url, **quick, **values})


def model_at(server: FakeServer, **values: object) -> LanguageModel:
    found = find(settings(server.url, **values))
    assert isinstance(found, LanguageModel), found
    return found


def reason_at(url: str, **values: object) -> str:
    found = find(settings(url, **values))
    assert isinstance(found, Absent)
    return found.reason


def answer(model: LanguageModel, max_tokens: int = 1000) -> str:
    return "".join(delta.text for delta in model.stream(ASK, max_tokens=max_tokens))


def eventually(true: Callable[[], bool], seconds: float = 2) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()
