"""A site's page served by a process of its own, and people at it in headless Chromium."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import pytest

Answer = TypeVar("Answer")
PATIENCE_S = 60
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
)


def need_chromium() -> tuple[str, str]:
    """Return the paths of Chromium and its driver; skip the test if they are not here."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    return chromium, driver


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def until(met: Callable[[], Answer], what: str) -> Answer:
    """Return the first true answer. Fail if none comes."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = met()
        if answer:
            return answer
        time.sleep(0.02)
    pytest.fail(f"waited in vain for {what}")


class Served:
    """The page of a site, in a process of its own."""

    def __init__(self, site_file: Path, port: int) -> None:
        self.site_file = site_file
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Served":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        command = [sys.executable, "-m", "recontour.service.page.main", str(self.site_file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        until(self._answers, "the page's process")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/login", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """End it as a power cut would: -9."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None


class Person:
    """Somebody at the page. browser: a selenium driver."""

    def __init__(self, browser: Any, url: str) -> None:
        self.browser = browser
        self.url = url
        self.draft = 0  # the one that is open

    # Finding and waiting

    def find(self, selector: str) -> Any:
        """Return the element that is there now, or soon."""

        def met() -> Any:
            found = self.browser.find_elements("css selector", selector)
            return found[0] if found else None

        return until(met, selector)

    def text(self, selector: str) -> str:
        text: str = self.find(selector).get_property("textContent")
        return text

    def says(self, selector: str, words: str) -> None:
        """Wait until an element says something."""
        said = ""
        end = time.monotonic() + PATIENCE_S
        while words not in said:
            said = self.text(selector)
            if time.monotonic() > end:
                pytest.fail(f"{selector} says {said!r}, not {words!r}")

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def get(self, path: str) -> Any:
        """Return JSON that the page could fetch."""
        fetched = "return fetch(arguments[0]).then((answer) => answer.text())"
        return json.loads(self.run(fetched, path))

    # Doing

    def log_in(self, name: str, password: str) -> None:
        self.browser.get(f"{self.url}/login")
        self.find("#name").send_keys(name)
        self.find("#password").send_keys(password)
        self.find("form button").click()
        self.find("nav")

    def open(self, draft: int) -> None:
        """Open a draft whose series has its number; wait until all of its slices are here."""
        self.draft = draft
        self.browser.get(f"{self.url}/review/{draft}")
        all_here = "return performance.getEntriesByName('all slices').length"
        until(lambda: self.run(all_here), "all slices")

    def press(self, *keys: str) -> None:
        """Press keys together, on the axial plane."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.keys import Keys

        held = [key for key in keys if key in (Keys.CONTROL, Keys.SHIFT, Keys.ALT)]
        others = [key for key in keys if key not in held]
        chain = ActionChains(self.browser, duration=0)
        for key in held:
            chain.key_down(key)
        for key in others:
            chain.send_keys(key)
        for key in held:
            chain.key_up(key)
        chain.perform()

    def turn_wheel(self, pixels: int) -> None:
        """Turn the wheel towards oneself, on the axial plane."""
        script = """
            const turned = new WheelEvent("wheel", {deltaY: arguments[0], cancelable: true});
            document.querySelector("#axial").dispatchEvent(turned);
        """
        self.run(script, pixels)

    def drag(self, start_mm: tuple[float, float], end_mm: tuple[float, float]) -> None:
        """Draw a straight line on the axial plane with the left button."""
        self.put_down(start_mm)
        self.lift(end_mm)

    def put_down(self, at_mm: tuple[float, float]) -> None:
        chain = self._at(at_mm)
        chain.click_and_hold().perform()

    def lift(self, at_mm: tuple[float, float]) -> None:
        self._at(at_mm).release().perform()

    def _at(self, at_mm: tuple[float, float]) -> Any:
        from selenium.webdriver import ActionChains

        x, y = self.pixel_of(at_mm)
        chain: Any = ActionChains(self.browser, duration=0)
        chain.w3c_actions.pointer_action.move_to_location(x, y)
        return chain

    def pixel_of(self, at_mm: tuple[float, float]) -> tuple[int, int]:
        """Return which pixel of the screen shows a place on the axial plane."""
        script = """
            const matrix = document.querySelector("#axial svg g").getScreenCTM();
            const point = new DOMPoint(...arguments).matrixTransform(matrix);
            return [Math.round(point.x), Math.round(point.y)];
        """
        x, y = self.run(script, *at_mm)
        return x, y

    def mm_of(self, pixel: tuple[int, int]) -> tuple[float, float]:
        """Return the place on the axial plane that a pixel shows."""
        script = """
            const matrix = document.querySelector("#axial svg g").getScreenCTM();
            const point = new DOMPoint(...arguments).matrixTransform(matrix.inverse());
            return [point.x, point.y];
        """
        x, y = self.run(script, *pixel)
        return x, y

    def working(self) -> Any:
        """Return the open draft as the server has it."""
        return self.get(f"/api/drafts/{self.draft}/working")

    def reaches(self, revision: int) -> None:
        """Wait until the server has so many strokes, and the browser knows."""
        until(lambda: self.working()["revision"] == revision, f"revision {revision}")
        self.is_saved()

    def is_saved(self) -> None:
        """Wait until every stroke is saved."""
        saved = "return document.querySelector('#saved').className === 'saved saved'"
        until(lambda: self.run(saved), "the strokes to be saved")

    def troubles(self) -> list[str]:
        """Return what the browser complained of since it was last asked."""
        return [one["message"] for one in self.browser.get_log("browser")]


@contextmanager
def someone(url: str, window: tuple[int, int] = (1366, 768)) -> Iterator[Person]:
    """Give a person with a browser of their own. window: its width and height."""
    from selenium import webdriver

    chromium, driver = need_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    width, height = window
    for option in (*OPTIONS, f"--window-size={width},{height}"):
        options.add_argument(option)
    service = webdriver.ChromeService(executable_path=driver)
    browser = webdriver.Chrome(options=options, service=service)
    try:
        yield Person(browser, url)
    finally:
        browser.quit()
