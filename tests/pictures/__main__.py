"""``make pictures``: makes the pictures of README.md and docs/ anew. It takes some minutes."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Browser, Locator, Page

from taxiway.paths import ROOT
from tests.browser import find_program, start_browser
from tests.integration.taxi_airflow import TaxiAirflow
from tests.integration.terminal import run_in_terminal
from tests.integration.web_client import Client, open_page
from tests.pictures.scene import BY_AIRFLOW, CHANGED, REPORTED, start_scene

FOLDER = ROOT / "docs" / "pictures"
STATUS = ("taxi", "status", "--from", "2024-01")
FONTS = {"Inter": "fonts-inter", "DejaVu Sans": "fonts-dejavu-core", "DejaVu Sans Mono": "fonts-dejavu-core"}
"""The fonts of the pages, the charts and the logs, and the packages of Debian that have them."""
SIZE: dict[str, Any] = {"viewport": {"width": 1280, "height": 1100}, "device_scale_factor": 1.5}
COLOURS = 256
"""Of a picture: the pages have few, and the file becomes a quarter as large."""


def main() -> int:
    """Make all pictures.

    :return: the exit code
    """
    missing = find_missing()
    if missing:
        asked = " ".join(sorted(set(missing.values())))
        print(f"make pictures: this machine lacks {', '.join(missing)}: apt-get install {asked}", file=sys.stderr)
        return 2
    os.environ["FONTCONFIG_FILE"] = str(Path(__file__).with_name("fonts.conf"))
    with tempfile.TemporaryDirectory(prefix="taxiway-pictures-") as folder, start_scene(Path(folder)) as taxi:
        draw_terminal(taxi)
        with start_browser() as browser:
            take_all(browser, Client(taxi.airflow.base_url))
    return 0


def find_missing() -> dict[str, str]:
    """Return which programs and fonts this machine lacks, and the packages of Debian that have them."""
    programs = {"Chromium": find_program(), "fontconfig": shutil.which("fc-match")}
    missing = {name: name.lower() for name, program in programs.items() if program is None}
    if "fontconfig" not in missing:
        for font, package in FONTS.items():
            command = ["fc-match", "--format=%{family}", font]
            if font not in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(","):
                missing[f"the font {font}"] = package
    return missing


def draw_terminal(taxi: TaxiAirflow) -> None:
    """Draw what ``airflow taxi status`` writes to a terminal."""
    _, shown = run_in_terminal(taxi.airflow, *STATUS, columns=100)
    command = [sys.executable, ROOT / "bin" / "picture", " ".join(("airflow", *STATUS)), "--whole"]
    drawn = subprocess.run(command, input=shown, capture_output=True, text=True, check=True).stdout
    save("status.svg", drawn.encode())


def take_all(browser: Browser, client: Client) -> None:
    """Take the pictures of the web UI."""
    take_board(browser, client, "light", "board.png")
    take_board(browser, client, "dark", "board-dark.png")
    take_report(browser, client)
    take_grid(browser, client)


def take_board(browser: Browser, client: Client, scheme: str, name: str) -> None:
    """Take a picture of the board: months are selected, and another one has its details shown."""
    page = open_page(browser, client, "/plugin/taxi-months", color_scheme=scheme, **SIZE)
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready]").wait_for()
    yellow = frame.locator("[data-warehouse=postgres] [data-dag-id=taxi_yellow]")
    yellow.get_by_role("button", name=re.compile("missing")).click()
    source, month = CHANGED[0]
    frame.locator(f"[data-dag-id=taxi_{source}] [data-month='{month}']").hover()
    take(page, name, below=yellow)


def take_report(browser: Browser, client: Client) -> None:
    """Take a picture of a report, down to its charts."""
    name, month = REPORTED
    page = open_page(browser, client, f"/taxiway-reports/{name}/{month}", **SIZE)
    take(page, "report.png", below=page.locator(".charts"))


def take_grid(browser: Browser, client: Client) -> None:
    """Take a picture of Airflow's grid, beside the log of the task that has published a month."""
    run_id = quote(f"backfill__{BY_AIRFLOW[-1]}-01T09:00:00+00:00")
    address = f"/dags/taxi_green/runs/{run_id}/tasks/merge_month"
    page = open_page(browser, client, address, **{**SIZE, "viewport": {"width": 1280, "height": 540}})
    page.get_by_text("published in green_tripdata").wait_for()
    # As wide as the grid of ten runs is.
    splitter = page.get_by_role("separator").first.bounding_box()
    assert splitter is not None
    page.mouse.move(splitter["x"] + 1, 500)
    page.mouse.down()
    page.mouse.move(480, 500, steps=5)
    page.mouse.up()
    page.keyboard.press("w")  # wraps the lines of the log
    page.wait_for_timeout(1000)  # until what moves has come to rest
    take(page, "grid.png")


def take(page: Page, name: str, below: Locator | None = None) -> None:
    """Take a picture of what the window shows.

    :param below: what the picture ends below; the window's height unless given
    """
    bottom = page.viewport_size["height"]
    if below is not None:
        box = below.bounding_box()
        bottom = min(box["y"] + box["height"] + 16, bottom)
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": bottom}
    save(name, page.screenshot(clip=clip))


def save(name: str, picture: bytes) -> None:
    """Write a picture; a PNG with few colours."""
    path = FOLDER / name
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".png":
        small = io.BytesIO()
        with Image.open(io.BytesIO(picture)) as image:
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        picture = small.getvalue()
    path.write_bytes(picture)
    print(f"{path.relative_to(ROOT)}: {len(picture):,} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
