"""`hexr-instrument dashboard`: its numbers are those of `costs`, and nobody but this user sees them."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from stores import NOON, line, segment

from hexr_instrument import costs
from hexr_instrument.call import USD
from hexr_instrument.report.page import panels
from hexr_instrument.report.page.server import ASSETS, PageServer
from hexr_instrument.store import Filter, Store

HOUR = 3600 * 10**9
DAY = 24 * HOUR
EVIL = "</script><img src=x onerror=alert(1)>\u202e"


def shop(directory: Path) -> Store:
    """Two agents, three models, five days, one failure, one call without a price; each call lasts longer."""
    store = Store(directory)
    calls: list[dict[str, Any]] = []
    for number in range(1, 101):
        start = NOON - 5 * DAY + number * HOUR
        fields: dict[str, Any] = {
            "start": start,
            "end": start + number * 10**7,
            "trace": f"{number // 10 + 1:032x}",
            "agent": ("crew", "shop")[number % 2],
            "tenant": ("acme", EVIL)[number % 3 == 0],
            "role": ("writer", None)[number % 5 == 0],
            "model": ("gpt-4o", "gpt-4o-mini", "acme-1")[number % 7 % 3],
            "cost": USD // 100 * number,
        }
        if number == 50:
            fields |= {
                "error": "openai.RateLimitError",
                "status": 429,
                "usage": {},
                "cost_status": "no_usage",
                "cost": None,
            }
        elif number == 51:
            fields |= {"cost": None, "cost_status": "unpriced", "cost_source": None}
        calls.append(line(number, **fields))
    store.ingest(segment(store, "1-1-a", *calls))
    return store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    """The page of a shop, served."""
    with PageServer([shop(tmp_path / "store")], 0) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(
    server: PageServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body; `_` in the name of a header is a dash."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    named = {"Host": f"127.0.0.1:{server.port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.putrequest(method, path, skip_host=True)
    for name, value in named.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def data(server: PageServer, path: str, **asked: Any) -> Any:
    """What the page's script is told."""
    cookie = f"hexr_dashboard={server.token}"
    status, _, body = ask(server, f"/data/{path}?{urlencode(asked, doseq=True)}", Cookie=cookie)
    assert status == 200, body
    return json.loads(body)


# -- whose page it is


def test_the_page_is_listening_on_loopback_alone(server: PageServer) -> None:
    """The address is 127.0.0.1, and the token is in the part of the URL that no server is sent."""
    assert server.server_address[0] == "127.0.0.1"
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.port}/#[\w-]{{40,}}", server.url)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost.evil.example", "", "[::1"])
def test_a_rebound_name_is_refused(server: PageServer, host: str) -> None:
    """A name that somebody made point to 127.0.0.1 is not this server's: not even the empty page is shown."""
    for path in ("/", "/data/panels"):
        assert ask(server, path, Host=host, Cookie=f"hexr_dashboard={server.token}")[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_other_sites_are_refused(server: PageServer, headers: dict[str, str]) -> None:
    """A request that another page makes gets nothing, whatever it brings."""
    cookie = f"hexr_dashboard={server.token}"
    assert ask(server, "/data/panels", Cookie=cookie, **headers)[0] == 403
    assert ask(server, "/session", "POST", X_Hexr_Token=server.token, **headers)[0] == 403


def test_data_needs_the_token(server: PageServer) -> None:
    """Without the cookie, or with a wrong one, there is no number; the token gives a cookie that no script reads."""
    for cookie in ({}, {"Cookie": "hexr_dashboard=wrong"}, {"Cookie": "hexr_dashboard="}, {"Cookie": "\x01=;;"}):
        for name in ("panels", "latency", "calls", "names"):
            assert ask(server, f"/data/{name}", **cookie)[0] == 401
    assert ask(server, "/session", "POST", X_Hexr_Token="wrong")[0] == 401
    assert ask(server, "/session", "POST")[0] == 401
    status, headers, _ = ask(server, "/session", "POST", X_Hexr_Token=server.token)
    assert status == 204
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask(server, "/data/panels", Cookie=cookie.partition(";")[0])[0] == 200


def test_every_answer_forbids_foreign_content(server: PageServer) -> None:
    """Scripts and styles come from here alone, nobody frames the page or shares it, nothing is cached."""
    for path in ("/", "/page.js", "/data/panels", "/nothing", "/../server.py", "/page.js?x=1"):
        _, headers, _ = ask(server, path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Access-Control-Allow-Origin"] is None
        assert "Python" not in headers["Server"]


def test_only_the_page_is_served(server: PageServer) -> None:
    """No path leads to another file, and no other method is known."""
    for path in ("/server.py", "/..%2fserver.py", "/assets/page.js", "//etc/passwd", "/page.css/"):
        assert ask(server, path)[0] == 404
    assert ask(server, "/", "DELETE")[0] == 501
    assert ask(server, "/", Content_Length="5")[0] == 400


def test_the_page_has_no_script_of_its_own_and_makes_no_markup_of_data() -> None:
    """No inline script, no address of another host, no innerHTML: what a model wrote stays text."""
    page = (ASSETS / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=\"/)", page)
    assert not re.search(r"\son\w+=|style=", page)
    scripts = "".join(path.read_text() for path in ASSETS.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", scripts)
    found = re.findall(r"https?://[^\s\"'`]+", page + scripts + (ASSETS / "page.css").read_text())
    assert set(found) <= {"http://www.w3.org/2000/svg"}


# -- its numbers


def test_the_sums_are_those_of_costs(server: PageServer) -> None:
    """For any window and filter: the tree, the total and what is unknown are what `costs --json` has."""
    (store,) = server.stores
    for asked in ({}, {"agent": "crew"}, {"model": ["gpt-4o", "acme-1"]}, {"tenant": EVIL, "role": ""}):
        found = data(server, "panels", **asked)
        report = costs(**{"store": store.directory, **asked}).as_dict()
        assert found["report"] | {"since": None} == report
        assert found["report"]["since"] == found["since"]
        total = found["report"]["total"]
        assert sum(each["calls"] for each in found["points"]) == total["calls"] > 0
        assert sum(each["input"] for each in found["points"]) == total["input"]
        assert sum(float(each["cost_usd"]) for each in found["points"]) == pytest.approx(float(total["cost_usd"]))
        for name in ("tenants", "models", "providers"):
            assert sum(each["calls"] for each in found[name]) == total["calls"]
        assert sum(each["failed"] for each in found["providers"]) == total["failed"]


@pytest.mark.parametrize(
    ("span", "step"), [(HOUR, 60), (DAY, 900), (7 * DAY, 3 * 3600), (30 * DAY, 86400), (900 * DAY, 28 * 86400)]
)
def test_a_window_begins_with_a_whole_step(server: PageServer, span: int, step: int) -> None:
    """At most a hundred steps; the sums are of exactly the steps that the charts show."""
    (store,) = server.stores
    found = panels.panels([store], {"since": [f"{span // 10**9}s"]}, NOON)
    assert found["step_ms"] == step * 1000
    since = panels.selection_of({"since": [found["since"]]}).only.since
    assert since % (step * 10**9) == 0
    assert since <= NOON - span < since + step * 10**9
    assert sum(each["calls"] for each in found["points"]) == found["report"]["total"]["calls"]


def test_days_and_hours_have_the_same_sums(tmp_path: Path) -> None:
    """Whether the sums of days answer or the calls themselves."""
    store = shop(tmp_path / "store")
    only = Filter(since=(NOON - 6 * DAY) // DAY * DAY)
    by_hour: dict[int, list[int]] = {}
    for each in store.timeline(only, HOUR):
        into = by_hour.setdefault(each.start // DAY * DAY, [0] * 5)
        for at, value in enumerate((each.calls, each.failed, each.cost, each.input, each.output)):
            into[at] += value
    days = {
        each.start: [each.calls, each.failed, each.cost, each.input, each.output] for each in store.timeline(only, DAY)
    }
    assert days == by_hour
    assert len(days) > 3


def test_percentiles_are_exact(server: PageServer) -> None:
    """By nearest rank, of the calls that succeeded: of 10 ms, 20 ms, ... without the one that failed."""
    found = data(server, "latency")
    assert found["all"] == {"p50": 510.0, "p95": 960.0, "p99": 1000.0, "calls": 99}
    assert sum(each["calls"] for each in found["points"]) == 99


def test_calls_come_in_pages_and_traces(server: PageServer) -> None:
    """Each call is listed once, the newest first; a trace has its own calls."""
    page = data(server, "calls")
    seen = page["calls"]
    while page["more"]:
        page = data(server, "calls", until=page["until"])
        seen += page["calls"]
    assert [each["id"] for each in seen] == [f"{number:016x}" for number in range(100, 0, -1)]
    found = data(server, "calls", trace=f"{3:032x}")
    assert {each["trace"] for each in found["calls"]} == {f"{3:032x}"}
    assert len(found["calls"]) == 10


def test_calls_that_start_together_stay_together(tmp_path: Path) -> None:
    """A page ends between two moments, so that the next one begins with no call twice and none left out."""
    store = Store(tmp_path / "store")
    store.ingest(
        segment(
            store, "1-1-a", *(line(number, start=NOON + number // 7 * 10**9, end=NOON * 2) for number in range(120))
        )
    )
    query: dict[str, list[str]] = {}
    seen: list[str] = []
    while True:
        page = panels.calls([store], query)
        seen += [each["id"] for each in page["calls"]]
        if not page["more"]:
            break
        query = {"until": [page["until"]]}
    assert len(seen) == len(set(seen)) == 120


def test_what_cannot_be_asked_is_said(server: PageServer) -> None:
    """A wrong time or trace is one line, not a page of Python."""
    cookie = f"hexr_dashboard={server.token}"
    for asked in ("since=yesterday", "trace=xyz", "since=1h&until=2h"):
        status, _, body = ask(server, f"/data/panels?{asked}", Cookie=cookie)
        assert status == 400
        assert "\n" not in json.loads(body)["error"]


def test_new_calls_show(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program recorded meanwhile is taken in as the page asks again."""
    monkeypatch.setattr("hexr_instrument.report.page.server.FRESH", 0)
    (store,) = server.stores
    before = data(server, "panels")["report"]["total"]["calls"]
    segment(store, "9-1-a", line(900, start=NOON + 1, end=NOON + 2))
    assert data(server, "panels")["report"]["total"]["calls"] == before + 1


def test_a_browser_that_goes_away_is_no_trouble(server: PageServer, capfd: pytest.CaptureFixture[str]) -> None:
    """A tab that is closed in the middle of an answer leaves nothing on the terminal; a fault of ours would."""
    for error, said in (
        (BrokenPipeError(32, "Broken pipe"), False),
        (ConnectionResetError(), False),
        (KeyError(), True),
    ):
        try:
            raise error
        except (OSError, KeyError):
            server.handle_error(None, ("127.0.0.1", 1))
        assert bool(capfd.readouterr().err) == said


# -- in a browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, where it and Playwright are installed (`make page` installs both)."""
    playwright = pytest.importorskip("playwright.sync_api", reason="`make page` runs these")
    if CHROMIUM is None:
        pytest.skip("`make page` runs these")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(server: PageServer, browser: Any) -> Iterator[Any]:
    """The page, opened and ready, all calls shown; a complaint of the browser's console is a failure."""
    found = browser.new_page(viewport={"width": 1300, "height": 900})
    complaints: list[str] = []
    found.on("console", lambda message: complaints.append(message.text))
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on("dialog", lambda dialog: complaints.append(dialog.message))
    found.goto(server.url)
    found.wait_for_selector("body[data-ready]")
    found.select_option("[name=range]", "all")
    found.wait_for_selector("#calls[data-value='100']")
    yield found
    found.close()
    assert complaints == []


@pytest.mark.shown
def test_a_browser_shows_the_numbers_of_costs(server: PageServer, page: Any) -> None:
    """The total, each row of the tree, each panel's numbers."""
    report = costs(store=server.stores[0].directory).as_dict()
    assert page.get_attribute("#cost", "data-value") == report["total"]["cost_usd"]
    assert page.inner_text("#total") == page.inner_text("#cost")
    leaves = page.eval_on_selector_all("#tree tr.d2 td[data-value]", "cells => cells.map(each => each.dataset.value)")
    assert sum(float(each) for each in leaves if each) == pytest.approx(float(report["total"]["cost_usd"]))
    assert len(leaves) == len(report["rows"])
    for figure in ("usage", "tenants", "distribution", "latency", "errors"):
        assert page.locator(f"#{figure} svg[role=img][aria-label]").count() == 1
        assert page.locator(f"#{figure} details tbody tr").count() > 0
    rows = page.eval_on_selector_all(
        "#tenants tbody tr", "rows => rows.map(row => [...row.children].map(each => each.textContent))"
    )
    by_tenant = costs("tenant", store=server.stores[0].directory)
    assert [row[0] for row in rows] == [row.group["tenant"] for row in by_tenant.rows]
    assert [int(row[2]) for row in rows] == [row.calls for row in by_tenant.rows]


@pytest.mark.shown
def test_hostile_names_stay_text(page: Any) -> None:
    """A tenant named like markup is shown as it is written, and nothing of it runs."""
    assert page.locator("#tree", has_text="onerror=alert(1)").count() == 1
    assert page.locator("img").count() == 0


@pytest.mark.shown
def test_a_filter_a_trace_and_the_keyboard(page: Any) -> None:
    """Choosing an agent narrows all; a call's trace opens and closes; rows of the tree fold, by keys alone."""
    page.select_option("[name=agent]", "crew")
    page.wait_for_selector("#calls[data-value='50']")
    before = page.locator("#tree tbody tr").count()
    page.focus("#tree button")
    page.keyboard.press("Enter")
    assert page.locator("#tree tbody tr").count() < before
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.focus("#list tbody tr:nth-child(5) button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#trace[open]")
    assert page.locator("#waterfall tr.call").count() > 1
    page.keyboard.press("Escape")
    assert page.locator("#trace[open]").count() == 0


@pytest.mark.shown
def test_it_fits_a_phone(page: Any) -> None:
    """At 360 pixels nothing but tables scrolls sideways; what a call cost and its trace are in sight all the same."""
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_timeout(300)  # the page draws its charts anew once the size has settled
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    right = "row => { const cell = row.lastElementChild.getBoundingClientRect(); return cell.right }"
    assert page.eval_on_selector("#list tbody tr:nth-child(3)", right) <= 360


@pytest.mark.shown
def test_a_call_that_ends_meanwhile_shows_by_itself(server: PageServer, page: Any) -> None:
    """The page asks again on its own; nobody reloads it, and its filters stay."""
    page.select_option("[name=role]", "writer")
    page.wait_for_selector("#calls[data-value='80']")
    (store,) = server.stores
    segment(store, "9-1-a", line(901, start=NOON + 1, end=NOON + 2, role="writer"))
    page.wait_for_selector("#calls[data-value='81']", timeout=60_000)
    assert page.input_value("[name=role]") == "writer"


@pytest.mark.shown
def test_dark_and_light_are_as_the_system_says_until_the_button(server: PageServer, browser: Any) -> None:
    """Each has its own background, and the button switches to the other."""
    backgrounds: list[str] = []
    for scheme in ("light", "dark"):
        found = browser.new_page(color_scheme=scheme)
        found.goto(server.url)
        found.wait_for_selector("body[data-ready]")
        colour = "getComputedStyle(document.body).backgroundColor"
        backgrounds.append(found.evaluate(colour))
        found.click("#theme")
        backgrounds.append(found.evaluate(colour))
        found.close()
    assert backgrounds[0] == backgrounds[3] != backgrounds[1] == backgrounds[2]


@pytest.mark.shown
def test_another_browser_without_the_token_sees_nothing(server: PageServer, browser: Any) -> None:
    """The address without its fragment shows no number, and says what to do."""
    stranger = browser.new_page()
    stranger.goto(server.url.partition("#")[0])
    stranger.wait_for_selector("#trouble:not([hidden])")
    assert "hexr-instrument dashboard" in stranger.inner_text("#trouble")
    assert stranger.inner_text("#cost") == "–"
    stranger.close()
