"""The page of `tenon bench --server --report` in a real Chromium: all of it can be read, on a desk and on a phone."""

import json
import shutil

import pytest

from fake_server import fake_server
from tenon_program import json_of, succeed

LONG = "a server with a name as long as those that people give to what they compare, int8 weights, two sockets"
# What is wider than the page, and stands in nothing that scrolls.
BEYOND = """return [...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll') && !one.closest('svg')
    && one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(one => one.outerHTML)"""
CUT = """return [...document.querySelectorAll('dt, dd, pre, h1, h2, .words td, .tile b, summary')].filter(
    one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display != 'inline').map(one => one.outerHTML)"""
LETTERS = """return Math.min(...[...document.querySelectorAll('svg text')].filter(one => one.checkVisibility()).map(
    one => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a))"""


@pytest.fixture(scope="module")
def chromium():
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("chromium and chromium-driver are not installed")
    from page import start_chromium

    driver = start_chromium()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with fake_server(first_s=0.01, gap_s=0.002) as (fake, address):
        fake.fault_of = lambda number: 429 if number % 9 == 8 else None
        ask = ["bench", "--server", address, "--new-tokens", 4, "--prompt-tokens", 20, "--requests", 12, "--goodput",
               "ttft:500", "--concurrency", "1,2,4", "--extra", '{"user": "' + "x" * 150 + '"}']
        result = json_of(*ask, "--label", LONG, "--report", folder / "one.html")
        (folder / "one.json").write_text(json.dumps(result))
        succeed(*ask, "--label", "the other", "--seed", 1, "--report", folder / "two.html", "--compare",
                folder / "one.json")
    return folder


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize("width", [1280, 700, 390, 320])
def test_everything_can_be_read(chromium, pages, name, width):
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
    chromium.get((pages / f"{name}.html").as_uri())
    ask = chromium.execute_script
    assert ask("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert ask(BEYOND) == [] and ask(CUT) == []
    assert ask(LETTERS) >= 8.5
    assert set(ask("return [...document.querySelectorAll('dd, .words td:not(.n)')].map("
                   "one => getComputedStyle(one).textAlign)")) <= {"start", "left"}
    # Words of facts begin where those of their neighbours do.
    assert ask("return new Set([...document.querySelectorAll('dd')].map(one => one.getBoundingClientRect().left)).size") == 1
    assert ask("return document.querySelectorAll('svg path[d]').length") >= 9
    text = ask("return document.body.innerText")
    assert LONG in text and "429" in text and "time for a request 600 s" in text.replace("\n", " ")
    errors = [one for one in chromium.get_log("browser") if one["level"] == "SEVERE"]
    assert errors == []


def test_the_table_scrolls_by_itself_with_its_loads_in_sight(chromium, pages):
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True})
    chromium.get((pages / "one.html").as_uri())
    chromium.execute_script("document.querySelector('.scroll').scrollLeft = 9999")
    left, edge = chromium.execute_script(
        "return [document.querySelector('.levels tbody th').getBoundingClientRect().left,"
        "document.querySelector('.scroll').getBoundingClientRect().left]")
    assert left == pytest.approx(edge, abs=1)
