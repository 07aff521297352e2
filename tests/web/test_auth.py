"""Who may read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otelbridge.web.sessions import Attempts, open_session, session_holds
from tests.web.conftest import Page
from tests.web.samples import log

TOKEN = "a-token-of-some-length"
HTML = {"Accept": "text/html"}
VIEWS = [
    "/services",
    "/logs",
    "/traces",
    "/metrics",
    "/alarms",
    "/pipeline",
    "/logs/tail",
    "/logs/histogram",
]


@pytest.fixture
def locked(open_page: Callable[..., Page]) -> Page:
    """A page that asks for a token."""
    page = open_page(token=TOKEN)
    page.store(log("secret"))
    return page


def test_without_a_token_set_everything_is_open(page: Page) -> None:
    assert page.get("/logs").status_code == 200
    assert page.get("/logs.json").status_code == 200


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_asks_for_the_token(locked: Page, view: str) -> None:
    answer = locked.client.get(view, headers=HTML, follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=%2F")


@pytest.mark.parametrize("view", [*VIEWS, "/logs.json", "/traces.json", "/metrics.json"])
def test_an_api_call_without_the_token_is_refused(locked: Page, view: str) -> None:
    answer = locked.get(view)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "secret" not in answer.text


def test_json_is_refused_as_json_even_to_a_browser(locked: Page) -> None:
    answer = locked.client.get("/logs.json", headers=HTML, follow_redirects=False)

    assert answer.status_code == 401
    assert "token" in answer.json()["error"]["message"]


def test_the_bearer_token_opens_the_api(locked: Page) -> None:
    answer = locked.client.get("/logs.json", headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.json()["total"] == 1


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer Ünïcode".encode()]
)
def test_another_authorization_does_not(locked: Page, header: str | bytes) -> None:
    answer = locked.client.get("/logs.json", headers={"Authorization": header})

    assert answer.status_code == 401


def test_the_token_in_the_address_opens_a_session_and_leaves_the_address(locked: Page) -> None:
    answer = locked.get("/logs", token=TOKEN, query="user: alice")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/logs?query=user%3A+alice"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert locked.get("/logs").status_code == 200


def test_a_wrong_token_in_the_address_is_refused(locked: Page) -> None:
    assert locked.get("/logs", token="guess").status_code == 401


def test_signing_in_goes_on_to_where_one_was_going(locked: Page) -> None:
    answer = locked.client.post(
        "/login?next=/logs%3Fquery%3Dx", data={"token": TOKEN}, follow_redirects=False
    )

    assert answer.status_code == 303
    assert answer.headers["location"] == "/logs?query=x"
    assert locked.get("/logs").status_code == 200


@pytest.mark.parametrize("next_", ["//evil.example/", "/\\evil.example", "https://evil.example/"])
def test_signing_in_never_goes_to_another_host(locked: Page, next_: str) -> None:
    answer = locked.client.post(
        "/login", params={"next": next_}, data={"token": TOKEN}, follow_redirects=False
    )

    location = answer.headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_a_wrong_token_is_asked_for_again(locked: Page) -> None:
    answer = locked.client.post("/login", data={"token": "guess"})

    assert answer.status_code == 401
    assert "not the token" in answer.text
    assert "set-cookie" not in answer.headers


def test_guessing_is_slow(locked: Page) -> None:
    codes = [locked.client.post("/login", data={"token": "guess"}).status_code for _ in range(12)]

    assert codes[:10] == [401] * 10
    assert codes[10:] == [429] * 2
    answer = locked.client.post("/login", data={"token": TOKEN})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_guessing_by_header_is_as_slow(locked: Page) -> None:
    guess = {"Authorization": "Bearer guess"}
    codes = [locked.client.get("/logs.json", headers=guess).status_code for _ in range(12)]

    assert codes[-1] == 429


def test_a_reader_with_a_session_is_not_kept_out_by_another_s_guesses(locked: Page) -> None:
    locked.get("/logs", token=TOKEN)
    session = dict(locked.client.cookies)
    locked.client.cookies.clear()
    for _ in range(12):
        locked.client.post("/login", data={"token": "guess"})

    locked.client.cookies.update(session)

    assert locked.get("/logs").status_code == 200


def test_attempts_are_forgotten_after_a_minute() -> None:
    now = [0.0]
    attempts = Attempts(2, clock=lambda: now[0])
    attempts.fail("a")
    attempts.fail("a")

    assert attempts.wait("a") == 60
    assert attempts.wait("b") == 0
    now[0] = 61
    assert attempts.wait("a") == 0


def test_a_session_ends_and_is_of_one_token() -> None:
    cookie = open_session(TOKEN, now=1000)

    assert session_holds(cookie, TOKEN, now=1000)
    assert not session_holds(cookie, TOKEN, now=1000 + 15 * 86400)
    assert not session_holds(cookie, "another", now=1000)


@pytest.mark.parametrize("cookie", ["", ".", "9999999999.", "9999999999.0", "x.y", "²." + "0" * 64])
def test_a_made_up_session_does_not_hold(cookie: str) -> None:
    assert not session_holds(cookie, TOKEN, now=1000)


def test_signing_out_ends_the_session(locked: Page) -> None:
    locked.get("/logs", token=TOKEN)

    locked.client.post("/logout")

    assert locked.client.get("/logs", headers=HTML, follow_redirects=False).status_code == 303


def test_the_health_check_and_the_login_need_no_token(locked: Page) -> None:
    assert locked.get("/healthz").json() == {"status": "ok"}
    assert locked.get("/login").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4319", "127.0.0.1.evil.example", ""]
)
def test_on_loopback_another_host_name_is_refused(page: Page, host: str) -> None:
    answer = page.client.get("/logs", headers={"Host": host})

    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost:4319", "127.0.0.1", "[::1]:4319", "LOCALHOST"])
def test_on_loopback_its_own_names_are_answered(page: Page, host: str) -> None:
    assert page.client.get("/logs", headers={"Host": host}).status_code == 200


def test_every_loopback_address_is_guarded(open_page: Callable[..., Page]) -> None:
    page = open_page(host="127.0.0.5")

    assert page.client.get("/logs", headers={"Host": "evil.example"}).status_code == 421
    assert page.client.get("/logs", headers={"Host": "127.0.0.5:4319"}).status_code == 200


def test_beyond_loopback_any_host_name_is_answered_with_the_token(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(host="0.0.0.0", token=TOKEN)

    answer = page.client.get(
        "/logs.json", headers={"Host": "bridge.local", "Authorization": f"Bearer {TOKEN}"}
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        # Another port of this host, which cookies do not tell apart.
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_origin_changes_nothing(locked: Page, headers: dict[str, str]) -> None:
    locked.get("/logs", token=TOKEN)

    answer = locked.client.post("/logout", headers=headers)

    assert answer.status_code == 403
    assert locked.get("/logs").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:4319"},
        {"Origin": "http://127.0.0.1:4319"},
        {},
    ],
)
def test_its_own_pages_and_programs_may(locked: Page, headers: dict[str, str]) -> None:
    locked.get("/logs", token=TOKEN)

    locked.client.post("/logout", headers=headers)

    assert locked.get("/logs", token="").status_code == 401


def test_a_link_from_elsewhere_reloads_so_that_a_strict_session_is_seen(locked: Page) -> None:
    answer = locked.client.get(
        "/logs", headers={**HTML, "Sec-Fetch-Site": "cross-site"}, follow_redirects=False
    )

    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert "secret" not in answer.text
