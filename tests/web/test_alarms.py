"""The Alarms view: what is watched, made, tried and sent, and what is said when it is wrong."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from otelbridge.alarms import KINDS
from otelbridge.alarms.kept import Kept
from otelbridge.channels import KINDS as CHANNELS
from otelbridge.channels import Channel, Message, Receipt, find_channel, option
from otelbridge.web import alarms as view
from tests.channels.services import TELEGRAM_TOKEN, Reply, Service, TelegramService
from tests.web.conftest import Page
from tests.web.samples import log

SECRET = "hush-hush-hush"
NASTY = '<script>alert(1)</script>"&'

let_go = threading.Event()


@dataclass(frozen=True, kw_only=True)
class Pager(Channel):
    """A channel of somebody's own."""

    kind = "pager"
    number: str = option("the number to page")
    pin: str = option("the pager's code", secret=True)
    times: int = option("how often it rings", default=3)
    tone: str = option("how it sounds", default="low", choices=("low", "high"))
    loud: bool = option("louder than others", default=False)

    def send(self, message: Message) -> Receipt:
        if self.number == "hang":
            let_go.wait(60)
        return Receipt(reply=f"it rang {self.times} times for {message.title}")


PAGER = f"{__name__}.Pager"


@pytest.fixture
def hook() -> Iterator[Service]:
    with Service() as service:
        yield service


def save(page: Page, what: str, **fields: Any) -> httpx.Response:
    """Post a form as a browser would; names with a dot are written with two underscores."""
    data = {name.replace("__", "."): value for name, value in fields.items()}
    return page.client.post(f"/alarms/{what}", data={"was": "", **data}, follow_redirects=False)


def hooked(page: Page, hook: Service, **fields: Any) -> httpx.Response:
    given = {"kind": "webhook", "name": "hook", "url": hook.base, **fields}
    return save(page, "destinations", **given)


def errors_at(answer: httpx.Response) -> dict[str, str]:
    """What the answered form says is wrong, by field."""
    found = {}
    for part in answer.text.split('<div class="field')[1:]:
        name = re.search(r' name="([^"]*)"', part)
        said = re.search(r'<p class="error-part" role="alert">(.*?)</p>', part)
        if said is not None and name is not None:
            found[name[1]] = unescape(said[1])
    return found


def until(page: Page, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait until the view's data is so."""
    deadline = time.monotonic() + 60
    while True:
        data = page.get("/alarms.json").json()
        if condition(data):
            return data
        assert time.monotonic() < deadline, data
        time.sleep(0.02)


def states(data: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in data["alarms"]}


# --- nothing yet ---------------------------------------------------------------------------------


def test_without_alarms_it_explains_how_and_offers_every_kind(page: Page) -> None:
    text = page.get("/alarms").text

    assert "There are no alarms yet." in text
    assert "OTELBRIDGE_ALARM_RULES" in text
    for when in KINDS:
        assert f'href="/alarms/new?when={when}"' in text
    for kind in CHANNELS:
        assert f'href="/alarms/destinations/new?kind={kind}"' in text
    assert page.get("/alarms.json").json() == {
        "alarms": [],
        "destinations": [],
        "problem": "",
        "waiting": [],
        "sent": [],
    }


def test_the_navigation_leads_to_it(page: Page) -> None:
    assert '<a href="/alarms">Alarms</a>' in page.get("/logs").text


# --- making and changing -------------------------------------------------------------------------


def test_a_first_alarm_is_made_fires_and_is_told(page: Page, hook: Service) -> None:
    assert hooked(page, hook).headers["location"] == "/alarms"
    assert save(page, "rules", when="error", name="errors", to__hook="true").status_code == 303

    page.store(log("boo", level="ERROR"))
    page.bridge.alarms.change(lambda kept: kept)
    data = until(page, lambda data: data["sent"])

    (alarm,) = data["alarms"]
    assert (alarm["state"], alarm["condition"], alarm["to"]) == (
        "firing",
        "an error within 5m",
        ["hook"],
    )
    assert [one["title"] for one in alarm["holding"]] == ["shop: 1 error in 5m"]
    assert [(one["destination"], one["state"]) for one in data["sent"]] == [("hook", "sent")]
    assert [request.fields["title"] for request in hook.taken] == ["shop: 1 error in 5m"]


def test_the_number_that_fired_is_that_of_the_list_behind_it(page: Page, hook: Service) -> None:
    save(page, "rules", when="error", name="errors")
    page.store(*(log("boo", level="ERROR") for _ in range(7)), log("fine"))
    page.store(log("elsewhere", level="ERROR", service="other"))
    page.bridge.alarms.change(lambda kept: kept)
    data = until(page, lambda data: data["alarms"][0]["state"] == "firing")

    for holding in data["alarms"][0]["holding"]:
        path, _, query = holding["link"].partition("?")
        listed = page.client.get(f"{path}.json?{query}").json()["total"]
        assert re.search(r": (\d+) error", holding["title"])[1] == str(listed)


@pytest.mark.parametrize("when", KINDS)
def test_every_kind_has_a_form_that_makes_it(page: Page, when: str) -> None:
    form = page.get("/alarms/new", when=when, service="shop")
    assert 'value="shop"' in form.text
    typed = {"above": "1", "query": "x"}

    made = save(
        page, "rules", when=when, name=when, services="shop",
        **{key: typed[key] for key in KINDS[when].needed},
    )  # fmt: skip

    assert made.status_code == 303
    assert states(page.get("/alarms.json").json()) == {when: "ok"}


@pytest.mark.parametrize("kind", CHANNELS)
def test_every_channel_has_a_form_of_the_fields_it_declares(page: Page, kind: str) -> None:
    form = page.get("/alarms/destinations/new", kind=kind).text

    for field in find_channel(kind).form():
        assert f'name="{field.name}"' in form
    for name in ("name", "traceback", "authors", "severity", "quiet", "cool_down", "per_minute"):
        assert f'name="{name}"' in form


def test_a_class_of_one_s_own_has_the_form_it_declares(open_page: Callable[..., Page]) -> None:
    page = open_page(channels=PAGER)
    form = page.get("/alarms/destinations/new", kind=PAGER).text
    for name in ("number", "pin", "times", "tone", "loud"):
        assert f'name="{name}"' in form

    wrong = save(page, "destinations", kind=PAGER, name="p", number="", times="x", tone="odd")
    assert errors_at(wrong) == {
        "number": "pager needs number: the number to page",
        "pin": "pager needs pin: the pager's code",
        "times": "pager: times is 'x'; allowed: a number",
        "tone": "pager: tone is 'odd'; allowed: low, high",
    }
    made = save(page, "destinations", kind=PAGER, name="p", number="7", pin=SECRET, times="2")

    assert made.status_code == 303
    tried = page.client.post(
        "/alarms/destinations/test", data={"name": "p"}, headers={"HX-Request": "true"}
    )
    assert "it rang 2 times for a message to try this destination" in tried.text


@pytest.mark.parametrize("kind", ["pathlib.Path", "os.system", "pigeon", PAGER])
def test_no_class_but_those_of_the_setting_is_imported(page: Page, kind: str) -> None:
    assert page.get("/alarms/destinations/new", kind=kind).status_code == 422
    made = save(page, "destinations", kind=kind, name="p", number="7", pin="1")

    assert made.status_code == 422
    assert "OTELBRIDGE_CHANNELS" in made.text
    assert page.bridge.alarms.kept == Kept()


def test_an_alarm_is_changed_paused_and_removed(page: Page) -> None:
    save(page, "rules", when="cpu", name="busy", above="90%", services="shop, pay")
    form = page.get("/alarms/edit", name="busy").text
    assert 'value="90%"' in form
    assert 'value="shop, pay"' in form

    save(page, "rules", when="cpu", name="very busy", was="busy", above="95%")
    (alarm,) = page.get("/alarms.json").json()["alarms"]
    assert (alarm["name"], alarm["services"]) == ("very busy", ["*"])
    assert "more than 95%" in alarm["condition"]

    save(page, "rules/pause", name="very busy", paused="true")
    assert states(page.get("/alarms.json").json()) == {"very busy": "paused"}
    save(page, "rules", when="cpu", name="very busy", was="very busy", above="96%")
    assert states(page.get("/alarms.json").json()) == {"very busy": "paused"}
    save(page, "rules/pause", name="very busy", paused="false")
    assert states(page.get("/alarms.json").json()) == {"very busy": "ok"}

    save(page, "rules/remove", name="very busy")
    assert page.get("/alarms.json").json()["alarms"] == []


def test_a_destination_that_alarms_name_is_not_removed(page: Page, hook: Service) -> None:
    hooked(page, hook)
    save(page, "rules", when="error", name="errors", to__hook="true")

    refused = save(page, "destinations/remove", name="hook")
    assert refused.status_code == 409
    assert "hook is told of: errors" in refused.text

    save(page, "rules/remove", name="errors")
    assert save(page, "destinations/remove", name="hook").status_code == 303
    assert page.get("/alarms.json").json()["destinations"] == []


@pytest.mark.parametrize(
    "address", ["rules/pause", "rules/remove", "destinations/pause", "destinations/remove"]
)
def test_what_was_not_made_here_is_not_changed_here(page: Page, address: str) -> None:
    assert save(page, address, name="nobody").status_code == 404


def test_a_program_makes_one_with_json_and_is_told_what_is_wrong(page: Page) -> None:
    json = {"Accept": "application/json"}
    made = page.client.post(
        "/alarms/rules",
        json={"when": "latency", "name": "slow", "above": "1s", "services": ["shop"], "count": 1},
        headers=json,
    )
    wrong = page.client.post("/alarms/rules", json={"when": "cpu", "name": ""}, headers=json)

    assert made.json() == {"name": "slow"}
    assert wrong.status_code == 422
    assert wrong.json()["error"]["fields"] == {
        "name": "it needs a name",
        "above": "cpu needs above",
    }


def test_alarms_of_one_service_are_shown_alone(page: Page) -> None:
    save(page, "rules", when="error", name="of the shop", services="shop")
    save(page, "rules", when="error", name="of others", services="pay-*")
    save(page, "rules", when="error", name="of all")

    names = {one["name"] for one in page.get("/alarms.json", service="shop").json()["alarms"]}

    assert names == {"of the shop", "of all"}
    assert "of others" not in page.get("/alarms", service="shop").text


# --- what is wrong is said at its field -----------------------------------------------------------


def test_each_wrong_field_of_an_alarm_has_one_line_beside_it(page: Page) -> None:
    answer = save(page, "rules", when="log", name="", query="user:", over="x", count="many",
                  severity="bad")  # fmt: skip

    assert answer.status_code == 422
    assert set(errors_at(answer)) == {"name", "query", "over", "count", "severity"}
    assert errors_at(answer)["name"] == "it needs a name"
    assert errors_at(answer)["query"].startswith("query is 'user:'; allowed: KQL")
    assert 'value="user:"' in answer.text
    assert page.bridge.alarms.kept == Kept()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"kind": "telegram", "chat": "1"}, {"token": "telegram needs token"}),
        ({"kind": "telegram", "token": SECRET}, {"chat": "telegram needs chat"}),
        ({"kind": "webhook", "url": SECRET}, {"url": "webhook: url is ***; allowed: http(s)://"}),
        ({"kind": "discord", "url": SECRET}, {"url": "discord: url is ***"}),
        ({"kind": "slack", "url": SECRET}, {"url": "slack: url is ***"}),
        ({"kind": "apprise", "url": SECRET}, {"url": "apprise: url is ***"}),
        (
            {"kind": "email", "host": "h", "sender": "a", "to": "b@c"},
            {"sender": "email: sender is 'a'"},
        ),
        (
            {"kind": "file", "path": "../a", "quiet": "x", "per_minute": "0"},
            {"path": "path is '../a'", "quiet": "file: quiet is 'x'", "per_minute": "file: per_"},
        ),
        ({"kind": "file", "path": "a", "name": "a\x07"}, {"name": "allowed: up to 200"}),
    ],
)
def test_each_wrong_field_of_a_destination_has_one_line_beside_it(
    page: Page, fields: dict[str, str], wrong: dict[str, str]
) -> None:
    answer = save(page, "destinations", **{"name": "ops", **fields})

    said = errors_at(answer)
    assert answer.status_code == 422
    assert set(said) == set(wrong)
    for field, text in wrong.items():
        assert said[field].startswith(text)
    assert SECRET not in answer.text
    assert page.bridge.alarms.kept == Kept()


def test_two_of_one_name_are_refused_whoever_made_the_first(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    rules = tmp_path / "alarms.toml"
    rules.write_text("[[alarms]]\nname='errors'\nwhen='error'\n")
    page = open_page(alarms=rules)

    answer = save(page, "rules", when="error", name="errors")

    assert errors_at(answer) == {"name": "another is called 'errors' already"}


# --- the file ------------------------------------------------------------------------------------


def test_rules_of_the_file_are_shown_and_cannot_be_changed(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    rules = tmp_path / "alarms.toml"
    rules.write_text("[[alarms]]\nname='errors'\nwhen='error'\n")
    page = open_page(alarms=rules)

    text = page.get("/alarms").text

    assert "in the file" in text
    assert "/alarms/edit" not in text
    assert page.get("/alarms/edit", name="errors").status_code == 404


def test_a_problem_in_the_file_is_one_line_with_file_and_line(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    rules = tmp_path / "alarms.toml"
    rules.write_text("[[alarms]]\nname='errors'\nwhen='error'\n")
    page = open_page(alarms=rules)
    rules.write_text("[[alarms]]\nname='errors'\nwhen='error'\ncount='<b>'\n")

    def look(data: dict[str, Any]) -> str:
        page.bridge.alarms.change(lambda kept: kept)
        return str(data["problem"])

    problem = until(page, look)["problem"]

    assert problem.startswith(f"{rules}:4: errors: count is '<b>'; allowed: a whole number")
    assert f"{rules}:4: errors: count is &#39;&lt;b&gt;&#39;" in page.get("/alarms").text
    assert states(page.get("/alarms.json").json()) == {"errors": "ok"}


# --- secrets -------------------------------------------------------------------------------------


def test_a_secret_is_never_shown_again(page: Page) -> None:
    save(page, "destinations", kind="telegram", name="ops", token=f"1:{SECRET}", chat="42")

    for address in ("/alarms", "/alarms.json", "/alarms/destinations/edit?name=ops"):
        assert SECRET not in page.client.get(address).text
    assert (
        "kept; empty leaves it as it is" in page.get("/alarms/destinations/edit", name="ops").text
    )


def test_a_secret_that_is_left_empty_stays(page: Page) -> None:
    given = {"kind": "telegram", "name": "ops", "chat": "42"}
    save(page, "destinations", **given, token=f"1:{SECRET}")

    changed = save(page, "destinations", **{**given, "chat": "43"}, was="ops", token="")

    assert changed.status_code == 303
    (kept,) = page.bridge.alarms.kept.destinations
    assert (kept.values["token"], kept.values["chat"]) == (f"1:{SECRET}", "43")


def test_a_secret_is_not_sent_to_a_place_that_somebody_without_it_chose(page: Page) -> None:
    given = {"kind": "telegram", "name": "ops", "chat": "42", "was": "ops"}
    save(page, "destinations", **{**given, "was": ""}, token=f"1:{SECRET}")

    answer = save(page, "destinations", **given, token="", base_url="http://evil.example")

    assert errors_at(answer) == {"token": "needed again, since base_url was changed"}
    (kept,) = page.bridge.alarms.kept.destinations
    assert "base_url" not in kept.values


def test_a_secret_that_is_not_needed_is_forgotten_when_asked(page: Page, hook: Service) -> None:
    hooked(page, hook, signing_key=SECRET)

    hooked(page, hook, was="hook", url="", signing_key="", forget__signing_key="true")

    (kept,) = page.bridge.alarms.kept.destinations
    assert kept.values == {"url": hook.base}


# --- trying --------------------------------------------------------------------------------------


def tried(page: Page, name: str) -> dict[str, Any]:
    answer = page.client.post(
        "/alarms/destinations/test", data={"name": name}, headers={"Accept": "application/json"}
    )
    assert answer.status_code == 200
    return answer.json()


def test_a_test_says_what_the_service_answered(page: Page, hook: Service) -> None:
    hooked(page, hook)

    assert tried(page, "hook") == {"name": "hook", "sent": True, "said": "HTTP 200"}
    hook.replies = [Reply(410, "gone <b>for good</b>")]
    assert tried(page, "hook")["said"] == "gone <b>for good</b> (HTTP 410)"
    assert not tried(page, "nobody")["sent"]


def test_a_test_without_scripts_answers_with_the_whole_view(page: Page, hook: Service) -> None:
    hooked(page, hook)
    hook.replies = [Reply(410, NASTY)]

    answer = page.client.post("/alarms/destinations/test", data={"name": "hook"})

    assert "&lt;script&gt;alert(1)" in answer.text
    assert "<script>alert" not in answer.text
    assert "Destinations</h2>" in answer.text


@pytest.mark.parametrize(
    ("token", "chat", "says"),
    [
        ("1:wrong", "42", "Telegram does not know this token (HTTP 401)"),
        (TELEGRAM_TOKEN, "gone", "chat not found"),
    ],
)
def test_a_wrong_token_and_a_chat_that_is_gone_are_one_clear_line(
    page: Page, token: str, chat: str, says: str
) -> None:
    with TelegramService() as telegram:
        save(page, "destinations", kind="telegram", name="ops", token=token, chat=chat,
             base_url=telegram.base)  # fmt: skip
        said = tried(page, "ops")

    assert not said["sent"]
    assert says in said["said"]
    assert "\n" not in said["said"]
    assert token not in said["said"]


def test_what_hangs_does_not_hold_up_the_page(
    open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(channels=PAGER)
    save(page, "destinations", kind=PAGER, name="p", number="hang", pin="1")
    monkeypatch.setattr(view, "TRY_SECONDS", 0.2)
    let_go.clear()

    try:
        assert tried(page, "p") == {"name": "p", "sent": False, "said": "no answer within 0.2 s"}
        assert page.get("/alarms").status_code == 200
    finally:
        let_go.set()


# --- who may, and names as text -------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["rules", "rules/remove", "destinations", "destinations/test", "destinations/pause"]
)
def test_no_other_page_s_form_changes_anything(page: Page, address: str) -> None:
    answer = page.client.post(
        f"/alarms/{address}",
        data={"when": "error", "name": "x", "kind": "file", "path": "a"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )

    assert answer.status_code == 403
    assert page.bridge.alarms.kept == Kept()


def test_without_signing_in_nothing_is_shown_or_changed(open_page: Callable[..., Page]) -> None:
    page = open_page(token="a-token-of-some-length")

    assert page.get("/alarms.json").status_code == 401
    assert save(page, "rules", when="error", name="x").status_code == 401
    assert page.bridge.alarms.kept == Kept()


def test_html_in_names_is_shown_as_text(page: Page, hook: Service) -> None:
    hooked(page, hook, name=NASTY)
    save(page, "rules", when="log", name=NASTY, query='"<img src=x>"', **{f"to.{NASTY}": "true"})
    page.store(log(f"{NASTY} <img src=x>", service=NASTY))
    page.bridge.alarms.change(lambda kept: kept)
    until(page, lambda data: data["sent"])

    for address in ("/alarms", "/alarms/new?when=error", "/alarms/destinations/new"):
        text = page.client.get(address).text
        assert "<script>alert" not in text
        assert "<img" not in text
    assert "&lt;script&gt;alert(1)" in page.get("/alarms").text
    edit = page.get("/alarms/edit", name=NASTY)
    assert (edit.status_code, "<script>alert" in edit.text) == (200, False)
