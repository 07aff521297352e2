"""The Projects view: its rows, their numbers, and what can be done with them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx
import pytest

from otelbridge import schema
from tests.projects.events import event
from tests.web.conftest import Page
from tests.web.samples import log, point


def said(name: str, *, ago: float = 0.0, **values: Any) -> Any:
    """A lifecycle event of a moment ago."""
    record = event(name, **values)
    record.time = time.time_ns() - int(ago * 10**9)
    return record


def start(**values: Any) -> Any:
    return said(schema.PROCESS_START, **{"uptime": 0.0, "ago": 5.0, **values})


def beat(uptime: float, **values: Any) -> Any:
    return said(schema.PROCESS_HEARTBEAT, uptime=uptime, **values)


def end(outcome: str, **values: Any) -> Any:
    key = schema.PROCESS_OUTCOME.replace(".", "__")
    return said(schema.PROCESS_END, **{"uptime": 5.0, key: outcome, **values})


def projects(page: Page, until: Callable[[Any], bool], **params: Any) -> list[dict[str, Any]]:
    """The view's data, once a condition holds for it: what is stored is heard a little later."""
    limit = time.monotonic() + 20
    while True:
        found: list[dict[str, Any]] = page.get("/projects.json", **params).json()["projects"]
        if until(found):
            return found
        assert time.monotonic() < limit, found
        time.sleep(0.02)


def names(html: str) -> list[str]:
    return re.findall(r"<a data-row-link[^>]*>([^<]+)</a>", html)


def heard(page: Page, *expected: str) -> None:
    projects(page, lambda found: {one["name"] for one in found} >= set(expected))


def post(page: Page, path: str, **fields: str) -> httpx.Response:
    return page.client.post(path, data=fields, follow_redirects=False)


def test_nothing_yet_says_how_to_begin(page):
    html = page.get("/projects").text

    assert "No program has announced itself yet." in html
    assert "http://127.0.0.1:4318/v1/lifecycle" in html


def test_a_row_says_how_a_project_is(page):
    page.store(
        start(
            interval=30,
            resource={"service.version": "1.4.2"},
            otelbridge__process__sinks=["otlp", "telegram"],
            otelbridge__process__authors=["@ada"],
        ),
        point("process.memory.usage", 50 * 2**20),
        point("process.cpu.utilization", 0.25),
    )
    heard(page, "shop")

    html = page.get("/projects").text
    row = html[html.index("<tbody>") :]
    for text in ("running", "1 running", "1.4.2", "alpha", "otlp, telegram", "@ada", "every 30 s"):
        assert text in row
    assert "25 %" in row
    assert "50.0 MB" in row


def test_the_worst_come_first_and_other_orders_can_be_chosen(page):
    page.store(
        start(project="alive", instance="1"),
        *(start(project="ended", instance="2"), end("completed", project="ended", instance="2")),
        *(start(project="broken", instance="3"), end("crashed", project="broken", instance="3")),
        log("a failure", level="ERROR", service="alive"),
    )
    projects(page, lambda found: {one["status"] for one in found} >= {"crashed", "stopped"})

    assert names(page.get("/projects").text) == ["broken", "alive", "ended"]
    assert names(page.get("/projects", sort="name").text) == ["alive", "broken", "ended"]
    assert names(page.get("/projects", sort="name", order="back").text)[0] == "ended"
    assert names(page.get("/projects", sort="errors").text)[0] == "alive"
    for sort in ("processes", "uptime", "restarts", "heard"):
        assert len(names(page.get("/projects", sort=sort).text)) == 3


@pytest.mark.parametrize(
    ("parameter", "allowed"),
    [("sort", "errors"), ("status", "crashed"), ("order", "back")],
)
def test_what_is_no_choice_is_one_sentence(page, parameter, allowed):
    answer = page.get("/projects.json", **{parameter: "<b>"})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(f"{parameter} is '<b>'; allowed: ")
    assert allowed in answer.json()["error"]["message"]


def test_projects_are_found_by_status_and_by_words(page):
    page.store(
        start(project="shop", instance="1", host="alpha"),
        start(project="mail", instance="2", host="beta"),
        end("crashed", project="mail", instance="2", host="beta"),
    )
    projects(page, lambda found: "crashed" in {one["status"] for one in found})

    def found(**params: str) -> list[str]:
        return [one["name"] for one in page.get("/projects.json", **params).json()["projects"]]

    assert found(status="running") == ["shop"]
    assert found(status="crashed") == ["mail"]
    assert found(find="ALPHA") == ["shop"]
    assert found(find="mail beta") == ["mail"]
    assert found(find="mail alpha") == []
    assert "No project is found with “&lt;b&gt;”" in page.get("/projects", find="<b>").text


def test_the_number_of_errors_is_that_of_the_list_behind_it(page):
    crash = end("crashed")
    crash.severity_number = 21
    page.store(
        start(),
        crash,
        *(log(f"failure {number}", level="ERROR") for number in range(3)),
        log("worse", level="CRITICAL"),
        log("fine"),
        log("of another", level="ERROR", service="other"),
        log("too long ago", level="ERROR", ago=3600),
    )
    (shop,) = projects(page, lambda found: bool(found))
    services = {one["name"]: one for one in page.get("/services.json").json()["services"]}

    assert shop["errors"] == services["shop"]["error_logs"] == 4
    for view in ("/projects", "/services"):
        links = re.findall(r'href="(/logs\?[^"]+severity_number[^"]+)"', page.get(view).text)
        (link,) = (link for link in links if "other" not in link)
        listed = page.get(unescape(link).replace("/logs?", "/logs.json?")).json()
        assert listed["total"] == 4


def test_each_environment_of_a_service_has_its_own_number_of_errors(page):
    for environment, failures in (("production", 2), ("staging", 1)):
        resource = {"deployment.environment.name": environment}
        page.store(
            start(instance=environment, resource=resource),
            *(log("failure", level="ERROR", resource=resource) for _ in range(failures)),
        )
    found = projects(page, lambda found: len(found) == 2)

    assert [(one["environment"], one["errors"]) for one in found] == [
        ("production", 2),
        ("staging", 1),
    ]
    (link, *_) = re.findall(
        r'href="(/logs\?[^"]+severity_number[^"]+)"', page.get("/projects").text
    )
    listed = page.get(link.replace("&amp;", "&").replace("/logs?", "/logs.json?")).json()
    assert listed["total"] == 2
    answer = page.get("/projects/shop.json", environment="staging")
    assert [one["instance"] for one in answer.json()["processes"]] == ["staging"]
    assert page.get("/projects/shop").status_code == 404


def test_the_page_of_a_project_lists_its_processes(page):
    page.store(
        start(instance="a", ago=60),
        end(
            "failed",
            instance="a",
            ago=50,
            process__exit__code=3,
            otelbridge__process__last_error__type="KeyError",
            otelbridge__process__last_error__message="<b>'x'</b>",
            otelbridge__process__last_error__fingerprint="f00d",
        ),
        start(instance="b", resource={"process.pid": 99}),
    )
    projects(page, lambda found: bool(found) and len(found[0]["processes"]) == 2)

    html = page.get("/projects/shop").text
    assert names(html) == ["pid 99", "pid 7"]
    assert "exit 3" in html
    assert 'href="/errors/f00d"' in html
    assert "&lt;b&gt;" in html
    assert "<b>'x'" not in html
    assert 'data-service="shop"' in html
    assert html.count('aria-label="Ranges"') >= 1
    for quick in ("1m", "5m", "30m", "1h", "3h", "1d", "3d", "7d"):
        assert f"range={quick}" in html


def test_a_project_nobody_knows_is_not_there(page):
    assert page.get("/projects/nothing").status_code == 404
    assert page.get("/projects/nothing.json").json()["error"]["message"] == (
        "There is no project of this name."
    )
    assert post(page, "/projects/hide", name="nothing").status_code == 404


@pytest.mark.parametrize("name", ["a/b c", "<script>alert(1)</script>", "50%", "früh", "x?y#z"])
def test_any_name_has_a_page(page, name):
    page.store(start(project=name))
    heard(page, name)
    html = page.get("/projects").text
    (link,) = re.findall(r'data-row-link href="([^"]+)"', html)

    assert "<script>alert" not in html
    assert page.get(link).status_code == 200
    assert page.get(link + ".json").json()["name"] == name


def test_hiding_takes_a_project_out_of_the_list_and_restoring_brings_it_back(page):
    page.store(start())
    heard(page, "shop")

    answer = post(page, "/projects/hide", name="shop", back="/projects?sort=name")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/projects?sort=name"
    assert names(page.get("/projects").text) == []
    assert names(page.get("/projects", status="hidden").text) == ["shop"]
    assert page.get("/projects/shop").status_code == 200

    post(page, "/projects/restore", name="shop")
    assert names(page.get("/projects").text) == ["shop"]


def test_cleaning_leaves_out_what_does_not_run_and_deletes_nothing(page):
    page.store(start(instance="a", ago=60), end("completed", instance="a", ago=50))
    page.store(start(instance="b"))
    projects(page, lambda found: bool(found) and len(found[0]["processes"]) == 2)

    assert post(page, "/projects/clean", name="shop", back="/projects/shop").status_code == 303
    (found,) = projects(page, lambda found: len(found[0]["processes"]) == 1)
    assert found["processes"][0]["instance"] == "b"
    assert page.get("/logs.json", query="log.logger: otelbridge.lifecycle").json()["total"] == 3


def test_a_project_of_which_nothing_is_left_is_gone(page):
    page.store(start(), end("completed"))
    projects(page, lambda found: bool(found) and found[0]["status"] == "stopped")

    answer = post(page, "/projects/clean", name="shop", back="/projects/shop")
    assert answer.headers["location"] == "/projects"
    assert page.get("/projects.json").json()["projects"] == []


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/logs", ""])
def test_a_form_leads_to_this_view_only(page, back):
    page.store(start())
    heard(page, "shop")

    assert post(page, "/projects/hide", name="shop", back=back).headers["location"] == "/projects"


def test_another_page_can_change_nothing(page):
    page.store(start())
    heard(page, "shop")

    answer = page.client.post(
        "/projects/hide", data={"name": "shop"}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert page.client.get("/projects/hide").status_code == 404
    assert names(page.get("/projects").text) == ["shop"]


def test_a_choice_that_cannot_be_kept_is_said(page, monkeypatch):
    page.store(start())
    heard(page, "shop")

    def full(data: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page.bridge.projects._file, "save", full)
    answer = post(page, "/projects/hide", name="shop")
    assert answer.status_code == 503
    assert "No space left on device. Nothing was changed." in answer.text


def test_the_page_asks_nobody_else(page):
    page.store(start())
    heard(page, "shop")

    for path in ("/projects", "/projects/shop"):
        html = page.get(path).text
        assert re.findall(r'(?:src|href|action|hx-get)="(?!/|#)[^"]*"', html) == []
        assert "<style" not in html
        assert not re.search(r"<script(?![^>]*\ssrc=)", html)
