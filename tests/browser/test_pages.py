"""The office's pages in a real browser: facts go in by RPC, and the pages change by themselves."""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pymongo import MongoClient

from deploy.local.platform import Platform, database_of
from deploy.local.process import wait_until
from mingchuang.campaign_file import load
from mingchuang.client import Client

ROOT = Path(__file__).parents[2]
CAMPAIGN = load(ROOT / "campaigns" / "changzhou-2007.yaml")
REGISTRY = ROOT / "campaigns" / "changzhou-2007" / "registry.xlsx"
TODAY = "2007-03-20T02:00:00.000Z"
WINDOW, INDUSTRY = "GJ-01", "GJ"
PHONE = {"width": 390, "height": 844}
PATIENCE = 20_000
NUMBERS = count(1)

# The browser must speak to the platform only.
ARGUMENTS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-default-apps",
]  # fmt: skip


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of this module's own, nothing published yet."""
    with Platform(tmp_path_factory.mktemp("pages"), external=False) as running:
        yield running


@pytest.fixture(scope="module")
def office(city: Platform) -> Iterator[Client]:
    with Client(city.amqp_uri("office"), timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def published(city: Platform, office: Client) -> Platform:
    """Campaign published, windows registered, the clock on 20 March 2007, some facts recorded."""
    office.inspection.publish_campaign(campaign=CAMPAIGN)
    office.inspection.import_file(REGISTRY)
    office.inspection.advance_clock(to=TODAY)
    visit(office)
    rate(office, [5] * 30 + [3] * 8 + [1] * 2)
    wait_until(lambda: rated(office) >= 40, 30, "the first ratings are shown")
    return city


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    opened = browser.new_context(**getattr(request, "param", {"viewport": {"width": 1280, "height": 900}}))
    opened.set_default_timeout(PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


expect.set_options(timeout=PATIENCE)


def answers(failing: set[str]) -> list[dict[str, Any]]:
    """A full sheet; the failing items fail with a note, the rest is as good as it can be."""
    sheet = []
    for item in CAMPAIGN["items"]:
        fails = item["id"] in failing
        if item["kind"] == "pass_fail":
            answer: dict[str, Any] = {"item": item["id"], "result": "fail" if fails else "pass"}
        elif item["kind"] == "scale":
            answer = {"item": item["id"], "value": 0 if fails else item["max"]}
        else:
            answer = {"item": item["id"], "observed": 0 if fails else 10, "of": 10}
        sheet.append({**answer, "note": "现场查看"} if fails else answer)
    return sheet


def visit(office: Client, failing: set[str] | None = None, window: str = WINDOW) -> str:
    """Record a visit, each later than the one before, so that its answers decide."""
    number = next(NUMBERS)
    visit_id = f"V-PAGES-{number}"
    office.call(
        "inspection.record_visit",
        {
            "visit_id": visit_id, "campaign": CAMPAIGN["id"], "campaign_version": CAMPAIGN["version"],
            "window": window, "supervisor": "DC001", "kind": "planned",
            "occurred_at": f"2007-03-19T{number // 60:02d}:{number % 60:02d}:00+08:00",
            "answers": answers(failing or set()),
        },
    )  # fmt: skip
    return visit_id


def rate(office: Client, levels: list[int], window: str = WINDOW) -> None:
    batch = f"B-PAGES-{next(NUMBERS)}"
    ratings = [
        {"id": f"{batch}-{place}", "window": window, "channel": "hotline", "level": level,
         "occurred_at": "2007-03-19T10:00:00+08:00", "voter": None}
        for place, level in enumerate(levels)
    ]  # fmt: skip
    result = office.inspection.record_ratings(batch_id=batch, ratings=ratings)
    assert result["rejected"] == []


def rated(office: Client) -> int:
    figure = office.reporting.city_report()["city"]
    return int(figure["satisfaction"]["n"]) if figure else 0


def facility(office: Client, window: str = WINDOW) -> str | None:
    figure = office.reporting.window_report(window=window)["figure"]
    return figure["facility"] if figure else None


def is_live(page: Page) -> None:
    expect(page.locator("#live-state")).to_have_text("实时更新")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_before_a_campaign_the_page_says_so_and_fills_by_itself(
    city: Platform, page: Page, request: pytest.FixtureRequest
) -> None:
    page.goto(city.pages_url)
    expect(page.get_by_role("heading", name="活动尚未发布")).to_be_visible()
    is_live(page)
    request.getfixturevalue("published")
    expect(page.get_by_role("heading", level=1)).to_have_text(CAMPAIGN["name"])
    expect(page.locator("#industries tbody tr")).to_have_count(15)


def test_the_city_page_shows_each_figure_with_n_and_definition(
    published: Platform, office: Client, page: Page
) -> None:
    page.goto(published.pages_url)
    report = office.reporting.city_report()
    satisfaction = report["city"]["satisfaction"]
    lead = page.locator("#satisfaction")
    expect(lead).to_contain_text(f"{float(satisfaction['lenient']) * 100:.2f}%")
    expect(lead).to_contain_text(f"n = {satisfaction['n']}")
    for definition in ("前三档占比", "前两档占比", "满意指数", "威尔逊区间"):
        expect(lead).to_contain_text(definition)
    chart = lead.get_by_role("img")
    expect(chart.locator("text.target")).to_have_text("目标 95%")
    expect(chart.locator("text.reference")).to_have_text("参考线 85%")
    windows = report["city"]["windows"]
    expect(page.locator("#conformity")).to_contain_text(f"/ {windows['open']} 个开放窗口")
    expect(page.locator("#head")).to_contain_text("2007年3月20日")
    expect(page.locator("#head")).to_contain_text("五个有")
    expect(page.locator("#missing")).to_contain_text("尚无设施得分")
    expect(page.locator("#industries")).to_contain_text("公交")


def test_a_recorded_visit_changes_the_city_page_without_a_reload(
    published: Platform, office: Client, page: Page
) -> None:
    visit(office)
    wait_until(lambda: facility(office) == "100.00", 20, "the window is faultless")
    page.goto(published.pages_url)
    is_live(page)
    page.evaluate("window.stillHere = true")
    visit(office, {"F-ENV-1"})
    first = page.locator("#changes li").filter(has_text="设施 F 100.00 →").first
    expect(first).to_contain_text("由达标转为未达标")
    expect(page.locator("#live-news")).to_contain_text("页面已更新")
    assert page.evaluate("window.stillHere") is True


def test_a_page_follows_a_change_of_the_read_models_within_a_second(
    published: Platform, office: Client, page: Page
) -> None:
    page.goto(f"{published.pages_url}/windows/{WINDOW}")
    is_live(page)
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => {
             const text = document.querySelector('#satisfaction .big').textContent;
             if (!window.seen.length || window.seen.at(-1)[0] !== text) window.seen.push([text, Date.now()]);
           }).observe(document.getElementById('content'), {childList: true, subtree: true}); }"""
    )
    delays = []
    with MongoClient(published.mongodb_uri("reporting"), tz_aware=True) as client:
        figures = client[database_of("reporting")]
        for _ in range(5):
            before = rated_window(office)
            rate(office, [5])
            expect(page.locator("#satisfaction .big")).to_contain_text(f"n = {before + 1}")
            written: datetime = figures["stamps"].find_one({})["changed_at"]  # type: ignore[index]
            seen = page.evaluate("window.seen.at(-1)[1]")
            delays.append(seen / 1000 - written.timestamp())
    assert median(delays) < 1.0, delays


def rated_window(office: Client) -> int:
    return int(office.reporting.window_report(window=WINDOW)["figure"]["satisfaction"]["n"])


def test_focus_and_opened_details_survive_a_refresh(published: Platform, office: Client, page: Page) -> None:
    visit(office, {"F-ENV-1"})
    wait_until(lambda: facility(office) not in (None, "100.00"), 20, "the window has a gap")
    page.goto(published.pages_url)
    is_live(page)
    page.locator("#gaps-facilities > summary").click()
    link = page.locator(f"#gap-facilities-{WINDOW}")
    expect(link).to_be_visible()
    link.focus()
    old = page.locator("#conformity").element_handle()
    visit(office, {"F-ENV-1", "F-ARE-1"})
    expect(link.locator("xpath=..")).to_contain_text("2 项未达标")
    assert old is not None
    assert not old.evaluate("element => element.isConnected")
    assert page.locator("#gaps-facilities").get_attribute("open") is not None
    expect(link).to_be_focused()


def test_a_window_is_explained_down_to_answer_rule_clause_and_version(
    published: Platform, office: Client, page: Page
) -> None:
    visit_id = visit(office, {"F-ENV-1"})
    wait_until(lambda: visit_id in str(office.reporting.window_report(window=WINDOW)), 20, "explained")
    page.goto(f"{published.pages_url}/windows/{WINDOW}")
    expect(page.locator("#conformity")).to_contain_text("必查项不合格")
    expect(page.locator("#dimensions")).to_contain_text("人员素质好")
    expect(page.locator("#dimensions")).to_contain_text("布局合理")
    page.locator("#answers-environment > summary").click()
    row = page.locator("#answers-environment tr").filter(has_text="F-ENV-1").filter(has_text=visit_id)
    for part in ("条款 四.1.1", "不合格", "必查", "方案第 1 版", "决定该项现状"):
        expect(row).to_contain_text(part)
    rules = page.locator("#explanation table.rules")
    expect(rules.locator("tr").filter(has_text="满意度判定")).to_contain_text("一.2")
    expect(page.locator("#explanation")).to_contain_text(visit_id)


@pytest.mark.parametrize("context", [{"java_script_enabled": False}], indirect=True, ids=["no-js"])
def test_every_page_is_complete_without_javascript(published: Platform, office: Client, page: Page) -> None:
    page.goto(published.pages_url)
    expect(page.get_by_role("heading", level=1)).to_have_text(CAMPAIGN["name"])
    expect(page.locator("#satisfaction")).to_contain_text("前两档占比")
    expect(page.get_by_role("link", name="刷新本页")).to_be_visible()
    page.get_by_role("link", name="公交", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("公交")
    page.locator(f"#window-{WINDOW}").click()
    expect(page.locator("#explanation")).to_contain_text("怎样算")
    page.locator("#answers-environment > summary").click()
    expect(page.locator("#answers-environment table")).to_be_visible()


@pytest.mark.parametrize("context", [{"viewport": PHONE}], indirect=True, ids=["phone"])
@pytest.mark.parametrize("path", ["/", f"/industries/{INDUSTRY}", f"/windows/{WINDOW}", "/windows/none"])
def test_no_page_scrolls_sideways_on_a_phone(published: Platform, page: Page, path: str) -> None:
    page.goto(published.pages_url + path)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert fits(page)


def test_the_keyboard_reaches_the_content_first_and_every_control(published: Platform, page: Page) -> None:
    page.goto(published.pages_url)
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.locator("#gaps-facilities > summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#gaps-facilities").get_attribute("open") is not None
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_pages_are_announced_by_landmarks_headings_and_names(published: Platform, page: Page) -> None:
    page.goto(published.pages_url)
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)  # type: ignore[arg-type]
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    for name in ("群众综合满意度", "各窗口行业", "最新变化"):
        expect(page.get_by_role("region", name=name)).to_be_visible()
    controls = page.locator("a, summary").all_text_contents()
    assert [text for text in controls if not text.strip()] == []
    repeated = page.evaluate(
        "(ids => ids.filter((id, place) => ids.indexOf(id) !== place))"
        "([...document.querySelectorAll('[id]')].map(e => e.id))"
    )
    assert repeated == []


def test_pages_ask_no_other_host_and_break_no_rule_of_their_own(published: Platform, page: Page) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in ("/", f"/industries/{INDUSTRY}", f"/windows/{WINDOW}"):
        page.goto(published.pages_url + path)
        is_live(page)
    assert [url for url in asked if not url.startswith(published.pages_url)] == []
    assert complaints == []


def test_an_unknown_window_is_not_found_and_says_so(published: Platform, page: Page) -> None:
    answer = page.goto(f"{published.pages_url}/windows/none")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("main")).to_contain_text("没有编号为“none”的窗口")


def test_a_code_in_the_address_is_never_markup(published: Platform, page: Page) -> None:
    page.goto(f"{published.pages_url}/windows/%3Cimg%20src=x%3E")
    expect(page.get_by_role("main")).to_contain_text("<img src=x>")
    expect(page.get_by_role("main").locator("img")).to_have_count(0)


def test_an_unchanged_page_is_not_sent_again(published: Platform) -> None:
    with urllib.request.urlopen(f"{published.pages_url}/industries/{INDUSTRY}", timeout=10) as answer:
        etag = answer.headers["ETag"]
    again = urllib.request.Request(
        f"{published.pages_url}/industries/{INDUSTRY}", headers={"If-None-Match": etag}
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(again, timeout=10)
    assert refusal.value.code == 304


def test_a_page_comes_back_by_itself_after_reporting_was_killed(
    published: Platform, office: Client, page: Page
) -> None:
    page.goto(published.pages_url)
    is_live(page)
    before = rated(office)
    published.kill("reporting")
    expect(page.locator("#live-state")).to_have_text("连接中断，正在重连")
    rate(office, [5, 5, 5])
    published.wait_ready(["reporting"])
    is_live(page)
    expect(page.locator("#satisfaction .big")).to_contain_text(f"n = {before + 3}")


def test_metrics_tell_the_city_and_who_is_looking(published: Platform, office: Client, page: Page) -> None:
    page.goto(published.pages_url)
    is_live(page)
    n = rated(office)

    def shown(name: str) -> Callable[[], float | None]:
        def value() -> float | None:
            with urllib.request.urlopen(f"{published.ops_url('reporting')}/metrics", timeout=10) as answer:
                found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
            return float(found[1]) if found else None

        return value

    wait_until(lambda: shown("mingchuang_city_ratings")() == n, 10, "the gauge has the city's n")
    clients = shown("mingchuang_stream_clients")
    wait_until(lambda: clients() == 1, 30, "browsers that have gone are no longer counted")
    assert (shown('mingchuang_page_seconds_count{page="city",status="200"}')() or 0) >= 1
    lenient = shown('mingchuang_city_satisfaction_ratio{bound="lenient"}')() or 0
    low = shown('mingchuang_city_satisfaction_ratio{bound="low"}')() or 0
    assert 0 < low < lenient <= 1
    assert shown("mingchuang_reporting_refresh_age_seconds")() is not None
