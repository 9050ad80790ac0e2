from __future__ import annotations

import io

from PIL import Image

from bot.domain.job import Relation
from tests.cogs.stage import Stage, custom_ids, texts
from tests.cogs.test_anime import refusal
from tests.cogs.test_results import send


async def test_an_upscale_of_the_chosen_picture_is_a_card_of_its_own_that_is_not_upscaled_again(stage: Stage):
    first = await stage.finished(seed=100, images=2, size="portrait")

    await stage.press(first, "upscale2", stage.other)
    second = await stage.draw()

    request, card = second.request, stage.card(second)
    assert second.origin.user_id == stage.other.id
    assert (request.seed, request.width, request.height, request.num_images) == (101, 96, 144, 1)
    assert request.init_image is not None
    with Image.open(io.BytesIO(await stage.store.read_upload(request.init_image.key))) as start:
        assert (start.size, start.getpixel((0, 0))) == ((64, 96), (100, 120, 160))  # what the stage draws as number 2
    assert f"[upscale of picture 2](https://discord.com/channels/{stage.guild.id}/" in texts(card)
    assert not [custom_id for custom_id in custom_ids(card) if "upscale" in custom_id or "subtle" in custom_id]
    assert "is an upscale already" in refusal(await send(stage, f"pastel:upscale1:{second.id}", message=card))


async def test_the_buttons_of_an_upscale_draw_its_original_again(stage: Stage):
    first = await stage.finished(seed=100, size="portrait")
    await stage.press(first, "upscale1")
    second = await stage.draw()

    shown = await stage.press(second, "remix")
    await stage.press(second, "reroll")

    third = await stage.last_job()
    assert shown.modal is not None
    assert (third.request.width, third.request.height, third.request.init_image) == (64, 96, None)
    assert third.parent is not None
    assert (third.parent.job_id, third.parent.relation) == (first.id, Relation.REROLL)


async def test_an_upscale_button_without_a_number_is_refused(stage: Stage):
    job = await stage.finished()

    assert "names no picture" in refusal(await send(stage, f"pastel:upscale:{job.id}", message=stage.card(job)))
