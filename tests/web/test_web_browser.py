"""The pages in a real Chromium. Where there is none, these tests fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import web_large_log as large_log
import web_story as story
from selenium import webdriver
from selenium.webdriver.common.by import By
from web_browsing import WebProcess, chromium, error_entries, eventually, web_process
from web_harness import TOKEN

from quiver_proto import events as e

pytestmark = pytest.mark.browser
Append = Callable[..., None]


@pytest.fixture(scope="module")
def started_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def browser(started_browser: webdriver.Chrome) -> webdriver.Chrome:
    """On an empty page, without cookies and complaints of earlier tests."""
    started_browser.delete_all_cookies()
    started_browser.get("about:blank")
    started_browser.get_log("browser")
    return started_browser


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log.jsonl").touch()
    return tmp_path / "log.jsonl"


@pytest.fixture
def append(log: Path) -> Append:
    def more(*events: e.Event) -> None:
        with log.open("a") as file:
            file.write("".join(e.encode(event) + "\n" for event in events))

    return more


@pytest.fixture
def web(log: Path) -> Iterator[WebProcess]:
    with web_process(log) as process:
        yield process


def text(browser: webdriver.Chrome) -> str:
    """What a person reads; nothing while one page gives way to the next."""
    return str(browser.execute_script("return document.body ? document.body.innerText : ''"))


def test_login_needs_the_token_and_hides_it(web: WebProcess, browser: webdriver.Chrome) -> None:
    browser.get(f"{web.address}/stages")
    assert "A token is needed" in text(browser)
    browser.get(f"{web.address}/stages?token={TOKEN}")
    assert browser.current_url == f"{web.address}/stages"
    assert "No stage has been started" in text(browser)
    assert TOKEN not in browser.execute_script("return document.cookie")
    cookie = next(cookie for cookie in browser.get_cookies() if cookie["value"] == TOKEN)
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"


def test_a_link_on_another_site_opens_the_page(web: WebProcess, browser: webdriver.Chrome) -> None:
    browser.get(f"data:text/html,<a id=a href='{web.address}/?token={TOKEN}'>open</a>")
    browser.find_element(By.ID, "a").click()
    eventually(lambda: "No job has been started" in text(browser), "the jobs page")
    assert "token" not in browser.current_url


def test_pages_change_by_themselves(web: WebProcess, browser: webdriver.Chrome, append: Append) -> None:
    events = story.whole()
    append(*events[:6])
    browser.get(f"{web.address}/?token={TOKEN}")
    eventually(lambda: "Active jobs" in text(browser), "the job")
    browser.execute_script("window.marker = document.querySelector('[data-key=job-0]')")
    eventually(lambda: "0/6" in text(browser), "its tasks")
    append(*events[6:10])
    eventually(lambda: "3/6" in text(browser), "the tasks that are done")
    append(*events[10:18])
    eventually(lambda: "Completed jobs" in text(browser), "the end of the job")
    assert browser.execute_script("return Boolean(window.marker)")
    append(events[-1])
    eventually(lambda: "ended" in browser.find_element(By.CSS_SELECTOR, "header .chip").text, "the end of the application")
    assert error_entries(browser) == []


def test_a_row_stays_the_same_element(web: WebProcess, browser: webdriver.Chrome, append: Append) -> None:
    """No flicker: what is on the page is changed, not replaced."""
    events = story.whole()
    append(*events[:6])
    browser.get(f"{web.address}/jobs/0?token={TOKEN}")
    eventually(lambda: "0/6" in text(browser), "the job")
    browser.execute_script("window.row = document.querySelector('[data-key=\"stage-0-0\"]')")
    append(*events[6:8])
    eventually(lambda: "2/6" in text(browser), "two tasks")
    assert browser.execute_script("return window.row.isConnected && window.row.textContent.includes('2/4')")


def test_the_job_page_draws_its_stages(web: WebProcess, browser: webdriver.Chrome, append: Append) -> None:
    append(*story.whole())
    browser.get(f"{web.address}/?token={TOKEN}")
    eventually(lambda: "Completed jobs 2" in text(browser), "both jobs")
    browser.get(f"{web.address}/jobs/1")
    boxes = browser.find_elements(By.CSS_SELECTOR, ".dag svg .box")
    assert len(boxes) == 2
    assert all(box.is_displayed() and box.size["height"] > 50 for box in boxes)
    assert "skipped" in boxes[0].get_attribute("class")
    assert float(boxes[0].value_of_css_property("opacity")) < 1
    assert "reduceByKey" in boxes[0].text
    assert len(browser.find_elements(By.CSS_SELECTOR, ".dag .arrow")) == 1
    boxes[1].find_element(By.TAG_NAME, "a").click()
    eventually(lambda: browser.current_url.endswith("/stages/2/0"), "the stage's page")


def test_an_opened_error_stays_open_while_the_page_lives(web: WebProcess, browser: webdriver.Chrome, append: Append) -> None:
    events = story.whole()
    append(*events[:9])
    browser.get(f"{web.address}/?token={TOKEN}")
    eventually(lambda: "1 failed" in text(browser), "the failed task")
    browser.get(f"{web.address}/stages/0/0")
    details = browser.find_element(By.CSS_SELECTOR, "tr.error details")
    assert "a.py:2" not in details.text
    details.find_element(By.TAG_NAME, "summary").click()
    assert "ValueError: bad <record>\n at a.py:2" in details.text.replace("  ", " ")
    append(*events[9:12])
    eventually(lambda: "4/4" in text(browser), "the stage's end")
    assert "a.py:2" in details.text


def test_tasks_are_sorted_filtered_and_paged(web: WebProcess, browser: webdriver.Chrome, append: Append) -> None:
    append(*large_log.log())
    browser.get(f"{web.address}/?token={TOKEN}")
    eventually(lambda: "Completed jobs 2" in text(browser), "both jobs")
    browser.get(f"{web.address}/stages/8/0")
    browser.find_element(By.LINK_TEXT, "Duration").click()
    eventually(lambda: "sort=-duration" in browser.current_url, "the sorted page")
    eventually(lambda: len(browser.find_elements(By.CSS_SELECTOR, "table.tasks tbody tr")) >= 100, "a page full of tasks")
    browser.find_element(By.CSS_SELECTOR, "select[name=status] option[value=failed]").click()
    eventually(lambda: "status=failed" in browser.current_url, "the filtered page")
    eventually(lambda: len(browser.find_elements(By.CSS_SELECTOR, "table.tasks .chip.failed")) == 4, "the failed tasks")
    assert not browser.find_elements(By.CSS_SELECTOR, "table.tasks .chip.succeeded")
    browser.get(f"{web.address}/stages/8/0")
    browser.find_element(By.LINK_TEXT, "next ›").click()
    eventually(lambda: "page=2" in browser.current_url, "the second page")
    assert error_entries(browser) == []


def test_when_the_driver_is_gone_the_last_numbers_stay(web: WebProcess, browser: webdriver.Chrome, append: Append) -> None:
    append(*story.whole()[:8])
    browser.get(f"{web.address}/?token={TOKEN}")
    eventually(lambda: "2/6" in text(browser), "the job")
    web.drop_lifeline()
    web.process.wait(120)
    eventually(lambda: "does not answer" in text(browser), "the notice")
    assert "2/6" in text(browser)
