"""Makes the README's pictures: `.venv/bin/python -m tests.demo.screenshots FOLDER`, with Chromium installed.

Starts the demo with the settings of the environment (MODEL, DEVICE) over a fresh folder and uses it as a visitor would.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from bot.settings import Settings
from tests.demo.browser import Tab, chromium
from tests.demo.conftest import running_demo

PROMPT = "1girl, green hair, beanie, night, looking at viewer"
OPTIONS = {"images": "4", "seed": "1034"}  # people who differ, with the small model
WIDTH, HEIGHT, SCALE = 860, 1150, 1.5  # CSS pixels, and how many of the screen's each is
SETTLE = 1.0  # seconds until pictures and fonts are there
CARD = "document.querySelector('.channel-message:last-child')"
LATE_STEP = "/step 1[0-9] of 20/"  # earlier, a preview shows little
DONE = f"{CARD}.innerText.includes('Reroll')"
IDLE = "!window.simcordPreview.pendingAction && window.simcordPreview.ready"


async def main(folder: Path) -> None:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pastel-pictures-") as data, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", data)
        settings = Settings.load(need_token=False)
        async with running_demo(settings) as address, chromium() as tab:
            await tab.open(address, WIDTH, HEIGHT, SCALE)
            await visit(tab, folder)
            print("\n".join(tab.log) or "The browser's console is clean.", file=sys.stderr)


async def visit(tab: Tab, folder: Path) -> None:
    await tab.until(f"document.querySelector('.component-container') && {IDLE}")
    await shoot(tab, folder / "welcome.png")
    for label in ("Cherry blossoms", "Stargazer"):
        await tab.press(label)
        await tab.until(f"{CARD}.querySelector('.component-container') && {IDLE}")
    await type_command(tab, folder)
    await tab.until(f"{CARD}.innerText.includes('looking at viewer') && {CARD}.innerText.includes('in line')")
    await shoot(tab, folder / "queued.png")
    await tab.until(f"{CARD}.querySelector('.gallery-image')", 180)
    await shoot(tab, folder / "running.png")
    await tab.until(f"{LATE_STEP}.test({CARD}.innerText) || {DONE}", 180)
    if not await tab.run(DONE):
        await shoot(tab, folder / "running.png")  # one that shows more
    await tab.until(DONE, 180)
    await tab.until(f"[...{CARD}.querySelectorAll('.gallery-image')].every(image => image.naturalWidth)")
    await shoot(tab, folder / "finished.png")
    await tab.press("Remix")
    await tab.until("document.querySelector('.modal-dialog')")
    await shoot(tab, folder / "remix.png")
    await tab.press("Cancel")
    await tab.until("!document.querySelector('.modal-dialog')")
    await tab.press("Details")
    await tab.until(f"{CARD}.innerText.includes('Only you can see this')")
    await shoot(tab, folder / "details.png")


async def type_command(tab: Tab, folder: Path) -> None:
    """`/anime` with a prompt and OPTIONS, by keyboard and mouse."""
    await tab.write("/anime")
    await tab.until("document.querySelector('.command-entry')")
    await shoot(tab, folder / "menu.png")
    await tab.key("Enter")
    await tab.until("document.querySelector('.command-option-input')")
    await tab.write(PROMPT)
    for count, (option, value) in enumerate(OPTIONS.items(), start=2):
        await tab.run("document.querySelector('.command-ghost').click()")
        await tab.press(option)
        await tab.until(f"document.querySelectorAll('.command-option-input').length == {count}")
        await tab.write(value)
    await shoot(tab, folder / "options.png")
    await tab.key("Enter")


async def shoot(tab: Tab, path: Path) -> None:
    await asyncio.sleep(SETTLE)
    await tab.shoot(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    asyncio.run(main(parser.parse_args().folder))
