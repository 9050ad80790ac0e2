"""The manual's Docker section, step by step, without Docker: build, `--env-file .env`, start, health check, stop."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import aiohttp
import pytest

from bot.settings import Settings
from tests.docker.image import ROOT, USER, build, env_file
from tests.local_discord.server import TOKEN, LocalDiscord

EXAMPLE = (ROOT / ".env.example").read_text()
FILLED = EXAMPLE.replace("DISCORD_TOKEN=\n", f"DISCORD_TOKEN={TOKEN}\n")
ALL_EMPTY = re.sub(r"^#(?=[A-Z_]+=$)", "", FILLED, flags=re.MULTILINE)


@pytest.fixture
def root():
    """An empty folder that any user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="pastel-image-"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


@pytest.fixture
def image(root):
    built = build(root)
    subprocess.run(["chmod", "-R", "a+rX,a-w", str(root / "pastel")], check=True)
    return built


@pytest.mark.parametrize("text", [FILLED, ALL_EMPTY], ids=["as the manual says", "with every line there and empty"])
def test_what_the_env_file_leaves_open_is_as_the_image_says(image, monkeypatch, text):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in image.environment(env_file(text.encode())).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(image.folder)

    settings = Settings.load(need_token=True)

    assert (settings.data_dir, settings.http_port, settings.log_format) == (image.root / "data", 8080, "json")
    assert settings.token() == TOKEN


def test_an_env_file_wins_over_the_image(image, monkeypatch):
    monkeypatch.chdir(image.folder)
    for name, value in image.environment(env_file(b"HTTP_PORT=9000\nLOG_FORMAT=text\n")).items():
        monkeypatch.setenv(name, value)

    settings = Settings.load(need_token=False)

    assert (settings.http_port, settings.log_format) == (9000, "text")


def test_what_is_installed_is_all_that_the_project_asks_for_and_every_version_is_pinned(root):
    source = build(root, stage=0).folder
    built = subprocess.run(
        [sys.executable, "-c", "from setuptools.build_meta import *; prepare_metadata_for_build_wheel('.')"],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    packages = next(source.glob("*.dist-info")).joinpath("METADATA").read_text()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-") for line in (source / "constraints.txt").read_text().splitlines()
    }

    assert all(f"Requires-Dist: {requirement}" in packages for requirement in wanted)
    assert {requirement.partition("==")[0].lower() for requirement in wanted} - pinned == set()


async def test_the_container_starts_is_healthy_and_stops_in_order(image, unused_tcp_port):
    (image.root / "env").write_text(f"{ALL_EMPTY}\nHTTP_PORT={unused_tcp_port}\n")  # 8080 may be taken here
    become = image.becoming_its_user()
    if become:
        os.chown(image.root / "data", USER, USER)
    before = sorted((image.root / "pastel").rglob("*"))
    async with LocalDiscord() as local:
        environment = image.environment(env_file((image.root / "env").read_bytes())) | pointed_at(local, image.root)
        with (image.root / "log").open("wb") as log:
            bot = await asyncio.create_subprocess_exec(
                *become, *image.entrypoint, *image.command, cwd=image.folder, env=environment, stdout=log, stderr=log
            )
        try:
            await healthy(bot, unused_tcp_port, image.root / "log")
            checked = await asyncio.to_thread(
                subprocess.run, [*become, *image.health], cwd=image.folder, env=environment, capture_output=True, text=True
            )
            bot.send_signal(signal.Signals[image.stop_signal])
            status = await asyncio.wait_for(bot.wait(), 30)
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()

    assert (checked.returncode, checked.stdout.splitlines()[0]) == (0, "gateway: ok"), checked.stderr
    assert status == 0, (image.root / "log").read_text()
    assert (image.root / "data" / "pastel.db").stat().st_uid == (USER if become else os.geteuid())
    assert sorted((image.root / "pastel").rglob("*")) == before, "nothing is written beside the code"


def pointed_at(local, root) -> dict[str, str]:
    """Variables that make the interpreter take the local Discord for the real one; the command stays the image's."""
    (root / "site").mkdir()
    (root / "site" / "sitecustomize.py").write_text(
        f"import warnings\nwarnings.simplefilter('ignore')\n"
        f"from tests.local_discord.attach import attach\nattach({local.origin!r})\n"
    )
    return {"PYTHONPATH": f"{root / 'site'}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "DEVICE": "cpu"}


async def healthy(bot, port, log) -> None:
    """Wait until the bot is ready, or fail with its log."""
    async with asyncio.timeout(90), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        while True:
            assert bot.returncode is None, log.read_text()
            try:
                async with http.get("/healthz") as page:
                    if page.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)
