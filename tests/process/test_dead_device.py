"""A GPU that hangs or is lost: the process ends with a code of its own, and the next one draws what waits."""

import pytest

from bot.errors import GeneratorDeadError
from tests.process.sabotage import hang_in_a_step, lose_the_device


@pytest.mark.parametrize("fault", [hang_in_a_step, lose_the_device])
async def test_a_dead_device_ends_the_process_with_its_own_code_and_the_job_back_on_the_queue(house, fault):
    local = house.local
    house.sabotage = fault.__name__
    await house.start()
    fired = await local.answer(await local.command(local.world.mika, "anime", prompt="a hat"))

    assert await house.bot.wait(120) == GeneratorDeadError.exit_code == 70
    assert house.job_of(fired)["status"] == "queued"
    assert "only a restart of the bot helps" in house.log
    assert "Traceback" not in house.log

    house.sabotage = None
    await house.start()
    await house.status(fired, "delivered", within=120)
