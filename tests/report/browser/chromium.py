"""A Chromium without a window, driven through Debian's chromedriver."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

PROGRAMS = ("chromium", "chromedriver")
PACKAGES = "chromium and chromium-driver"
WITHOUT_WINDOW_OR_NETWORK = (
    *("--headless", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Root, as whom containers run, is refused a sandbox.
    "--no-sandbox",
)


def missing() -> str | None:
    """What the tests lack; None if nothing."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"{' and '.join(absent)} not found (Debian's {PACKAGES})" if absent else None


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own, which keeps what pages say and ask for."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (*WITHOUT_WINDOW_OR_NETWORK, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def set_width(browser: webdriver.Chrome, width: int) -> None:
    """The width of the page in pixels, however wide a window must be."""
    sizes = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)


def said(browser: webdriver.Chrome) -> list[str]:
    """What pages have written to the console since this was last asked."""
    return [entry["message"] for entry in browser.get_log("browser")]


def asked_for(browser: webdriver.Chrome) -> list[str]:
    """The addresses that pages have asked for since this was last asked, but the browser's own."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    addresses = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in addresses if not address.startswith(("chrome:", "data:"))]
