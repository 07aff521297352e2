"""Signing in by name and password, beside the token or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from otelbridge.users import Users
from otelbridge.web.access import Access, TooManyError
from otelbridge.web.sessions import Attempts
from tests.web.conftest import Page
from tests.web.samples import log

TOKEN = "a-token-of-some-length"
PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html"}


@pytest.fixture
def locked(open_page: Callable[..., Page]) -> Page:
    """A page with one user and no token."""
    page = open_page(login="ada", password=PASSWORD)
    page.store(log("secret"))
    return page


def sign_in(page: Page, name: str = "ada", password: str = PASSWORD) -> int:
    return page.client.post(
        "/login", data={"name": name, "password": password}, follow_redirects=False
    ).status_code


def test_a_user_signs_in_and_out(locked: Page) -> None:
    assert locked.client.get("/logs", headers=HTML, follow_redirects=False).status_code == 303

    assert sign_in(locked) == 303
    assert "secret" in locked.get("/logs").text

    locked.client.post("/logout")
    assert locked.client.get("/logs", headers=HTML, follow_redirects=False).status_code == 303


def test_a_wrong_password_or_name_is_asked_for_again_in_the_same_words(locked: Page) -> None:
    by_password = locked.client.post("/login", data={"name": "ada", "password": "guess"})
    by_name = locked.client.post("/login", data={"name": "eve", "password": PASSWORD})

    assert (by_password.status_code, by_name.status_code) == (401, 401)
    for answer in (by_password, by_name):
        assert "The name or the password is wrong." in answer.text
        assert "set-cookie" not in answer.headers
    assert PASSWORD not in by_name.text


def test_a_name_is_shown_as_text_when_it_is_wrong(locked: Page) -> None:
    answer = locked.client.post("/login", data={"name": '"><script>x', "password": "guess"})

    assert "<script>x" not in answer.text
    assert "&lt;script&gt;x" in answer.text


def test_a_session_says_nothing_of_the_password_and_is_no_script_s(locked: Page) -> None:
    answer = locked.client.post(
        "/login", data={"name": "ada", "password": PASSWORD}, follow_redirects=False
    )

    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert PASSWORD not in cookie


def test_the_api_takes_name_and_password(locked: Page) -> None:
    assert locked.client.get("/logs.json", auth=("ada", PASSWORD)).json()["total"] == 1

    refused = locked.client.get("/logs.json", auth=("ada", "guess"))
    assert refused.status_code == 401
    assert "password is wrong" in refused.json()["error"]["message"]


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic YWRh", "Basic /w=="])
def test_a_malformed_authorization_is_refused(locked: Page, header: str) -> None:
    answer = locked.client.get("/logs.json", headers={"Authorization": header})

    assert answer.status_code == 401


def test_a_browser_is_not_made_to_ask_by_itself(locked: Page) -> None:
    program = locked.client.get("/logs.json")
    browser = locked.client.get("/logs.json", headers={"Sec-Fetch-Mode": "cors"})

    assert 'Basic realm="otelbridge"' in program.headers["www-authenticate"]
    assert "Basic" not in browser.headers["www-authenticate"]


def test_token_and_users_stand_beside_each_other(open_page: Callable[..., Page]) -> None:
    page = open_page(login="ada", password=PASSWORD, token=TOKEN)

    form = page.client.get("/login").text
    assert 'name="token"' in form
    assert 'name="password"' in form
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert page.client.get("/logs.json", headers=bearer).status_code == 200
    assert page.client.get("/logs.json", auth=("ada", PASSWORD)).status_code == 200


def test_without_a_token_none_opens_anything(locked: Page) -> None:
    for given in ("", "None", "a"):
        header = {"Authorization": f"Bearer {given}"}
        assert locked.client.get("/logs.json", headers=header).status_code == 401
    assert locked.client.post("/login", data={"token": ""}).status_code == 401
    assert 'name="token"' not in locked.client.get("/login").text


def test_who_is_removed_is_signed_out(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(token=TOKEN)
    page.bridge.users.add("ada", PASSWORD)
    assert sign_in(page) == 303
    assert page.get("/logs").status_code == 200

    page.bridge.users.remove("ada")

    assert page.client.get("/logs", headers=HTML, follow_redirects=False).status_code == 303


def test_a_session_of_one_user_is_no_other_s(open_page: Callable[..., Page]) -> None:
    page = open_page(login="ada", password=PASSWORD)
    sign_in(page)
    ends, signature, name = page.client.cookies["otelbridge_session"].split(".")
    assert bytes.fromhex(name) == b"ada"
    for forged in (
        f"{ends}.{signature}",
        f"{ends}.{signature}.{b'bob'.hex()}",
        f"{int(ends) + 1}.{signature}.{name}",
    ):
        # The jar would send the true one beside it.
        page.client.cookies.clear()
        page.client.cookies.set("otelbridge_session", forged)
        assert page.get("/logs.json").status_code == 401


def test_beyond_loopback_a_page_without_token_and_users_lets_nobody_in(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(host="0.0.0.0")

    assert page.get("/logs.json").status_code == 401
    assert "otelbridge user add" in page.client.get("/login").text


def access(folder: Path, limit: int = 2) -> Access:
    users = Users(folder / "users.json", ("ada", PASSWORD))
    made = Access(None, users, open=True)
    made.attempts = Attempts(limit)
    return made


def test_guessing_one_name_from_many_addresses_is_slow(tmp_path: Path) -> None:
    async def guess() -> None:
        gate = access(tmp_path)
        for number in range(2):
            assert not await gate.is_user("ada", f"guess {number}", f"10.0.0.{number}")
        with pytest.raises(TooManyError):
            await gate.is_user("ada", "guess", "10.0.0.9")
        assert not await gate.is_user("eve", "guess", "10.0.0.9")

    asyncio.run(guess())


def test_guessing_many_names_from_one_address_is_slow(tmp_path: Path) -> None:
    async def guess() -> None:
        gate = access(tmp_path)
        # Side by side: what is being looked at is counted already.
        found = await asyncio.gather(
            *(gate.is_user(f"user {number}", "guess", "10.0.0.1") for number in range(5)),
            return_exceptions=True,
        )
        assert found[:2] == [False, False]
        assert [type(one) for one in found[2:]] == [TooManyError] * 3

    asyncio.run(guess())


def test_a_program_that_asks_often_with_the_right_password_is_not_taken_for_a_guesser(
    tmp_path: Path,
) -> None:
    async def ask() -> None:
        gate = access(tmp_path)
        beside = [gate.is_user("ada", PASSWORD, "10.0.0.1") for _ in range(20)]
        assert await asyncio.gather(*beside) == [True] * 20
        for _ in range(20):
            assert await gate.is_user("ada", PASSWORD, "10.0.0.1")

    asyncio.run(ask())
