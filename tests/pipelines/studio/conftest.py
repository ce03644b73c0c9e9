"""The studio as its users meet it: the command in a process of its own, its page in Debian's headless Chromium."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass
class Seen:
    """A page, and what its browser asked for and complained of."""

    page: playwright.Page
    address: str
    out: Path
    process: subprocess.Popen[str]
    errors_end: bool = False  # as the server is gone, and the page says so
    asked: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])

    def at(self, name: str, nth: int = 0) -> playwright.Locator:
        """The part of the page that its code calls so."""
        return self.page.locator(f".at-{name}").nth(nth)

    def slide(self, name: str, key: str, times: int, nth: int = 0) -> None:
        """Turn a slider by its keys: arrows by a hundredth, page up and down by a tenth."""
        self.at(f"{name}-slider", nth).locator("[tabindex]").first.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def choose(self, name: str, option: str) -> None:
        """Choose of a list."""
        self.at(name).click()
        self.page.get_by_role("option", name=option).first.click()

    def give(self, name: str, file: Path) -> None:
        """Give a file to where files are dropped."""
        self.at(name).locator("input[type=file]").set_input_files(str(file))

    def picture(self, nth: int = 0) -> bytes:
        """The file of the restored crop that a view shows, once it is another than before."""
        address = self.page.locator(".rwsr-compare").nth(nth).locator("img").nth(1).get_attribute("src")
        return self.page.request.get(f"{self.address}{address}").body()

    def until(self, changed: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait for something that the page does by itself."""
        deadline = time.monotonic() + seconds
        while not changed():
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def chromium() -> Iterator[playwright.Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def studio(chromium: playwright.Browser, tmp_path: Path) -> Generator[Callable[..., Seen]]:
    """Starts the command with some words, and looks at its page; at the end nothing was asked of another machine, and
    nothing went wrong in the page's own code.
    """
    started: list[subprocess.Popen[str]] = []
    seen: list[Seen] = []

    def start(*words: object, width: int = 1300, height: int = 900) -> Seen:
        out, log = tmp_path / "studio", tmp_path / f"log-{len(started)}"
        command = [sys.executable, "-m", "rwsr", "studio", *map(str, words), "--no-open", "--out", str(out)]
        with log.open("w") as file:
            process = subprocess.Popen(command, stderr=file, stdout=file, text=True, cwd=tmp_path, env=dict(os.environ))
        started.append(process)
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        page = chromium.new_page(viewport={"width": width, "height": height})
        here = Seen(page, found[0], out, process)
        page.on("request", lambda request: here.asked.append(request.url))
        page.on("console", lambda said: here.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: here.errors.append(str(error)))
        page.goto(here.address)
        seen.append(here)
        return here

    yield start
    for here in seen:
        here.page.close()
    for process in started:
        process.terminate()
        process.wait(20)
    for here in seen:
        foreign = [each for each in here.asked if not each.startswith((here.address, "data:", "blob:"))]
        assert not foreign and (here.errors_end or not here.errors)
