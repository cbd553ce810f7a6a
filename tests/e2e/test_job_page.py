"""A real job watched on its page: live, without reloading."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from harness import MakeContext, eventually
from programs import mark, wait_for
from selenium import webdriver

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(tmp_path: Path) -> object:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'chromium'}", "--window-size=1400,1000",
    ):  # fmt: skip
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def text(browser: webdriver.Chrome) -> str:
    """What a person reads; nothing while one page gives way to the next."""
    return str(browser.execute_script("return document.body ? document.body.innerText : ''"))


def test_a_running_job_is_seen_to_end(make_context: MakeContext, browser: webdriver.Chrome, tmp_path: Path) -> None:
    sc = make_context("local[2]")
    directory = str(tmp_path)

    def hold(x: int) -> tuple[int, int]:
        mark(directory, f"running-{x}")
        if x:
            wait_for(f"{directory}/go")
        return x, 1

    thread = threading.Thread(target=lambda: sc.parallelize(range(2), 2).map(hold).groupByKey().count())
    thread.start()
    wait_for(f"{directory}/running-1")
    assert sc.uiWebUrl is not None
    browser.get(sc.uiWebUrl)
    assert "token=" not in browser.current_url
    eventually(lambda: "count" in text(browser), "the job on the page")
    browser.execute_script("window.notReloaded = true")
    eventually(lambda: "1/" in text(browser).replace(" ", ""), "a task in progress")
    mark(directory, "go")
    thread.join(120)
    eventually(lambda: "completed" in text(browser).lower(), "the job among the completed")
    assert browser.execute_script("return window.notReloaded") is True
