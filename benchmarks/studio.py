"""How soon `rwsr studio` is there, and how soon it answers, in headless Chromium.

    python benchmarks/studio.py IMAGE MODEL [--slides N]

Starts the command, waits for its page, then turns a slider (or moves the crop, of a model without one) and waits until
other pixels are shown. What is promised: the page within 5 s; an answer of a crop of 256 px of SR within 200 ms where
the network alone takes less than 120; beside the network, at most 120 ms. Wants playwright and Chromium.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise

LEAST_PX = 64  # of LR: 256 px of SR at scale 4


def shown(page: Page) -> str:
    """The address of the restored crop that is on the screen."""
    return str(page.locator(".rwsr-compare img").nth(1).get_attribute("src"))


def answered(page: Page, act: object) -> tuple[float, float]:
    """Milliseconds from an act to other pixels on the screen, and those of them that the network took."""
    before = shown(page)
    began = time.perf_counter()
    act()  # type: ignore[operator]
    page.wait_for_function(
        "before => { const image = document.querySelectorAll('.rwsr-compare img')[1]; "
        "return image.getAttribute('src') !== before && image.complete; }",
        arg=before,
        polling=5,
    )
    took = 1000 * (time.perf_counter() - began)
    found = re.match(r"(\d+) ms", page.locator(".at-figures").first.inner_text())
    return took, float(found[1]) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--slides", type=int, default=20)
    told = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        log = Path(folder) / "log"
        words = ["studio", told.image, "--model", told.model, "--no-open", "--out", Path(folder) / "out"]
        began = time.perf_counter()
        with log.open("w") as file:
            process = subprocess.Popen([sys.executable, "-m", "rwsr", *map(str, words)], stderr=file)
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            time.sleep(0.01)
        page.goto(found[0])
        page.get_by_text("rwsr studio").first.wait_for()
        there = time.perf_counter() - began
        page.locator(".rwsr-compare img").nth(1).wait_for(timeout=60_000)
        first = time.perf_counter() - began
        page.wait_for_timeout(1500)
        thumb = page.locator(".at-thumb")
        size = thumb.bounding_box()
        assert size is not None
        times: list[tuple[float, float]] = []
        for number in range(told.slides):
            x = size["width"] * (0.2 + 0.6 * (number % 2) - 0.01 * (number // 2 % 9))
            times.append(answered(page, lambda x=x: thumb.click(position={"x": x, "y": size["height"] / 2})))
            page.wait_for_timeout(100)
        browser.close()
        process.terminate()
        process.wait()
    took, network = (statistics.median(each) for each in zip(*times, strict=True))
    kept = promise(f"the page is there after {there:.1f} s, its first crop after {first:.1f} s", there < 5)
    said = f"a crop of {4 * LEAST_PX} px answers in {took:.0f} ms, of which the network takes {network:.0f}"
    kept &= promise(said, took < 200 or network > 120)
    kept &= promise(f"beside the network {took - network:.0f} ms", took - network < 120)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
