import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from tests.browser import find_chromium
from tests.served import Reply, Served, api_alone, served, settings_in
from ui.cli import main
from ui.errors import UserRejected
from ui.users import Users
from ui.web.desk import Desk
from ui.web.gate import FAILURES, FAILURES_IN_ALL, LOCKED, Attempts

GOOD = "correct horse battery"


def whoami(desk: Desk, uploads: Path) -> object:
    """The API, and a page that says whose it is."""
    from fastapi import Request
    from fastapi.responses import HTMLResponse

    made = api_alone(desk, uploads)

    @made.get("/")
    def page(request: Request) -> HTMLResponse:
        leave = "<form method='post' action='logout'></form>"
        return HTMLResponse(f"<title>Notes</title><p id='who'>{request.state.learner}</p>{leave}")

    @made.get("/who")
    def who(request: Request) -> str:
        return str(request.state.learner)

    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def app(home: Path) -> Iterator[Served]:
    """An app with two users."""
    settings = settings_in(home)
    users = Users(settings.home)
    users.add("anna", GOOD)
    users.add("ben", "another good one")
    with served(settings, load=whoami) as running:
        yield running


def log_in(app: Served, name: str, password: str, **headers: str) -> Reply:
    body = urlencode({"name": name, "password": password})
    return app.request("POST", "/login", body, content_type="application/x-www-form-urlencoded", **headers)


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].split(";")[0]


def test_who_did_not_log_in_is_shown_where_to(app: Served) -> None:
    page = app.request("GET", "/", accept="text/html")
    assert (page.status, page.headers["location"]) == (303, "/login")
    refused = app.request("GET", "/who")
    assert (refused.status, refused.json["kind"]) == (401, "LogInNeeded")
    assert 'autocomplete="current-password"' in app.request("GET", "/login", accept="text/html").text


def test_that_it_runs_is_told_to_anybody(app: Served) -> None:
    assert (app.request("GET", "/ready").status, app.request("GET", "/ready").text) == (200, "ready\n")


def test_who_logs_in_is_the_learner_of_that_name_until_logging_out(app: Served) -> None:
    reply = log_in(app, "anna", GOOD)
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = cookie_of(reply)
    assert app.request("GET", "/who", cookie=cookie).json == "anna"
    assert app.request("POST", "/logout", cookie=cookie).headers["location"] == "/login"
    assert app.request("GET", "/who", cookie=cookie).status == 401


def test_neither_a_link_nor_another_site_logs_anybody_out(app: Served) -> None:
    cookie = cookie_of(log_in(app, "anna", GOOD))
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert app.request("GET", "/logout", cookie=cookie).status == 405
    assert app.request("GET", "/logout", cookie=cookie, **link).status == 405
    assert app.request("POST", "/logout", cookie=cookie, origin="http://evil.example").status == 403
    assert app.request("POST", "/logout", cookie=cookie, **link).status == 403
    assert app.request("GET", "/who", cookie=cookie).json == "anna"


def test_of_many_guesses_at_once_no_more_are_looked_at_than_of_guesses_one_by_one(app: Served) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(20) as pool:
        found = sorted(pool.map(lambda i: log_in(app, "emil", f"guess {i}").status, range(20)))
    assert found == [401] * FAILURES + [429] * (20 - FAILURES)


def test_a_browser_logs_in_and_out(app: Served) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{app.port}/")
            for password, shown in (("wrong", "[role=alert]"), (GOOD, "#who")):
                page.fill("input[name=name]", "anna")
                page.fill("input[name=password]", password)
                page.click("button")
                page.wait_for_selector(shown)
            assert page.inner_text("#who") == "anna"
            assert page.evaluate("document.cookie") == ""
            page.evaluate("document.forms[0].submit()")
            page.wait_for_selector("input[name=password]")
            assert page.title() == "Log in · Study assistant"
        finally:
            browser.close()


def test_no_script_and_no_other_site_gets_the_cookie(app: Served) -> None:
    attributes = log_in(app, "anna", GOOD).headers["set-cookie"].split("; ")[1:]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    behind_tls = log_in(app, "anna", GOOD, host="localhost", origin="https://localhost").headers["set-cookie"]
    assert behind_tls.endswith("; Secure")
    assert "Secure" not in attributes


@pytest.mark.parametrize("cookie", ["study-session=", "study-session=guess", "=;;", 'study-session="'])
def test_a_cookie_that_was_not_given_opens_nothing(app: Served, cookie: str) -> None:
    assert app.request("GET", "/who", cookie=cookie).status == 401


def test_a_wrong_password_and_an_unknown_name_are_told_alike(app: Served) -> None:
    wrong, unknown = log_in(app, "ben", "wrong"), log_in(app, "nobody", "wrong")
    assert (wrong.status, unknown.status) == (401, 401)
    assert wrong.text == unknown.text
    assert "belong together" in wrong.text


def test_after_five_wrong_passwords_even_the_right_one_is_not_looked_at(app: Served) -> None:
    for _ in range(FAILURES):
        assert log_in(app, "carla", "wrong").status == 401
    locked = log_in(app, "carla", "wrong")
    assert locked.status == 429
    assert "Try again in 15 minutes." in locked.text
    assert int(locked.headers["retry-after"]) <= LOCKED


def test_another_password_and_removal_end_the_session(app: Served) -> None:
    users = Users(app.service.desk.settings.home)
    users.add("dora", GOOD)
    first = cookie_of(log_in(app, "dora", GOOD))
    assert app.request("GET", "/who", cookie=first).json == "dora"
    users.add("dora", "quite another one")
    assert app.request("GET", "/who", cookie=first).status == 401
    second = cookie_of(log_in(app, "dora", "quite another one"))
    users.remove("dora")
    assert app.request("GET", "/who", cookie=second).status == 401


def test_the_token_still_opens_the_api_and_nothing_else(app: Served) -> None:
    assert app.api("GET", "/api/v1/here").status == 200
    assert app.api("GET", "/who").status == 401


class Clock:
    """Seconds that go on when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_lock_opens_again_and_a_success_forgets() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(FAILURES):
        assert attempts.begin("anna", "10.0.0.1") == 0
    assert attempts.begin("anna", "10.0.0.1") == LOCKED
    assert attempts.begin("anna", "10.0.0.2") == 0
    clock.now += LOCKED
    for _ in range(FAILURES_IN_ALL):
        assert attempts.begin("anna", "10.0.0.1") == 0
        attempts.succeeded("anna", "10.0.0.1")


def test_many_addresses_together_lock_a_name_and_many_names_an_address() -> None:
    attempts = Attempts(Clock())
    for i in range(FAILURES_IN_ALL):
        assert attempts.begin("anna", f"10.0.0.{i}") == attempts.begin(f"user{i}", "10.1.1.1") == 0
    assert attempts.begin("anna", "10.9.9.9") == LOCKED
    assert attempts.begin("somebody", "10.1.1.1") == LOCKED
    assert attempts.begin("somebody", "10.9.9.9") == 0


class Asking:
    """A gate before a page that notes whose request came through."""

    def __init__(self, users: Users, **settings: object) -> None:
        from ui.web.gate import Gate

        self.clock, self.seen = Clock(), []  # type: ignore[var-annotated]
        told: dict[str, object] = {"token": "t", "learner": "me", "closed": True, "session_hours": 1}
        self.gate = Gate(self.page, users=users, clock=self.clock, **told | settings)  # type: ignore[arg-type]

    async def page(self, scope: dict[str, object], receive: object, send: object) -> None:
        self.seen.append(scope["state"]["learner"])  # type: ignore[index]

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[object, dict[str, str]]:
        import asyncio

        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": named, "scheme": "https"}
        asyncio.run(self.gate(scope | {"client": ("10.0.0.1", 1)}, receive, send))
        if not sent:
            return 200, {}
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}  # type: ignore[attr-defined]
        return sent[0]["status"], found

    def log_in(self, password: str = GOOD, **headers: str) -> tuple[object, dict[str, str]]:
        return self.request("POST", "/login", urlencode({"name": "anna", "password": password}).encode(), **headers)


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Users:
    users = Users(tmp_path_factory.mktemp("timed"))
    users.add("anna", GOOD)
    return users


def test_behind_a_proxy_wrong_passwords_are_counted_by_the_address_that_it_tells(anna: Users) -> None:
    trusting = Asking(anna, address_header="X-Forwarded-For")
    for _ in range(FAILURES):
        assert trusting.log_in("wrong", **{"x_forwarded_for": "1.1.1.1, 7.7.7.7"})[0] == 401
    assert trusting.log_in(**{"x_forwarded_for": "2.2.2.2, 7.7.7.7"})[0] == 429
    assert trusting.log_in(**{"x_forwarded_for": "7.7.7.7, 8.8.8.8"})[0] == 303
    wary = Asking(anna)
    for i in range(FAILURES):
        assert wary.log_in("wrong", **{"x_forwarded_for": f"9.9.9.{i}"})[0] == 401
    assert wary.log_in(**{"x_forwarded_for": "9.9.9.99"})[0] == 429


def test_sessions_end_when_nothing_is_done_and_after_a_week(anna: Users) -> None:
    asking = Asking(anna)
    given = asking.log_in()[1]["set-cookie"]
    assert given.endswith("; Secure")
    cookie = given.split(";")[0]
    for _ in range(3):
        asking.clock.now += 3000
        asking.request("GET", "/", cookie=cookie)
    assert asking.seen == ["anna"] * 3
    asking.clock.now += 3601
    asking.request("GET", "/", cookie=cookie)
    assert asking.seen == ["anna"] * 3
    cookie = asking.log_in()[1]["set-cookie"].split(";")[0]
    for _ in range(7 * 24 * 2):
        asking.clock.now += 1801
        asking.request("GET", "/", cookie=cookie)
    assert len(asking.seen) == 3 + 7 * 24 * 2 - 1


def test_a_page_that_lies_open_does_not_keep_its_session_alive(anna: Users) -> None:
    asking = Asking(anna)
    cookie = asking.log_in()[1]["set-cookie"].split(";")[0]
    for _ in range(3):
        asking.clock.now += 1100
        assert asking.request("GET", "/now", cookie=cookie)[0] == 200
        assert asking.request("POST", "/gradio_api/queue/join", cookie=cookie, x_study_idle="1")[0] == 200
    asking.clock.now += 400
    assert asking.request("GET", "/now", cookie=cookie)[0] == 401


def test_passwords_are_kept_as_argon2_hashes_that_only_the_owner_can_read(tmp_path: Path) -> None:
    Users(tmp_path).add("anna", GOOD)
    file = tmp_path / "users.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["anna"].startswith("$argon2id$")
    assert GOOD not in file.read_text()
    assert Users(tmp_path).check("anna", GOOD)
    assert not Users(tmp_path).check("anna", GOOD + " ")
    assert not Users(tmp_path).check("ben", GOOD)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 65, "with space", "nul\0"])
def test_a_name_that_can_be_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserRejected, match="can't be a name"):
        Users(tmp_path).add(name, GOOD)


def test_names_that_differ_in_capitals_alone_and_weak_passwords_are_refused(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.add("Anna", GOOD)
    with pytest.raises(UserRejected, match="differs in capitals alone"):
        users.add("anna", GOOD)
    with pytest.raises(UserRejected, match="12 characters at least"):
        users.add("ben", "short")
    with pytest.raises(UserRejected, match="the password is the name"):
        users.add("benbenbenben", "BENbenbenben")


def test_the_command_adds_lists_and_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_HOME", str(tmp_path))

    def run(*arguments: str, told: str = "") -> str:
        return CliRunner().invoke(main, ["users", *arguments], input=told).output

    assert run("list") == "nobody may log in; add one: ask users add NAME\n"
    assert run("add", "anna", "--password-stdin", told=f"{GOOD}\n") == "anna may log in\n"
    assert run("add", "anna", told=f"{GOOD}!\n{GOOD}!\n").endswith(
        "anna has another password, and is logged out everywhere\n"
    )
    assert run("list") == "anna\n"
    assert json.loads(run("list", "--json")) == {"users": ["anna"]}
    assert run("remove", "anna") == "anna may not log in any more\n"
    assert run("remove", "anna") == "Error: there is no user anna; see: ask users list\n"


def test_an_address_that_others_can_reach_wants_users_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["ui", "--host", "0.0.0.0"])
    assert done.exit_code == 1
    assert done.output.startswith("Error: others can reach 0.0.0.0, so people must log in there; first add one:")


def test_a_name_is_the_same_however_its_letters_are_typed(tmp_path: Path) -> None:
    users = Users(tmp_path)
    assert users.add("a\u0308nne", GOOD)
    assert not users.add("änne", GOOD)  # no second one
    assert users.check("änne", GOOD)
    assert users.check("a\u0308nne", GOOD)
    users.remove("a\u0308nne")
    assert users.hashes() == {}
