"""One zygote and one model for all process tests of a run; a house for each test."""

import pytest

from tests.local_discord.server import LocalDiscord
from tests.process.bots import ZygoteClient, end
from tests.process.harness import ProcessHarness


@pytest.fixture(scope="session")
def zygote():
    with ZygoteClient() as client:
        yield client


@pytest.fixture(scope="session")
def tiny_model(zygote, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-test"
    zygote.build_model(folder)
    return folder


@pytest.fixture
async def house(zygote, tiny_model, tmp_path):
    """A house whose local Discord is checked at the end; no process outlives the test."""
    async with LocalDiscord() as local:
        home = ProcessHarness(tmp_path, local, zygote, tiny_model)
        yield home
        if home.bot is not None:
            await end(home.bot)
        local.journal.check()


def pytest_terminal_summary(terminalreporter):
    """Prints what tests measured (`record_property("measured", ...)`), also out of xdist's workers."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    measured = [text for report in reports if report.when == "call" for name, text in report.user_properties]
    if measured:
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(measured))
