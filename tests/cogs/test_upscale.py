from __future__ import annotations

import io

from PIL import Image

from bot.domain.job import Relation
from tests.cogs.harness import SimcordHarness, custom_ids, refusal, send, texts


async def test_an_upscale_of_the_chosen_picture_is_a_card_of_its_own_that_is_not_upscaled_again(harness: SimcordHarness):
    first = await harness.finished(seed=100, images=2, size="portrait")

    await harness.press(first, "upscale2", harness.other)
    second = await harness.draw()

    request, card = second.request, harness.card(second)
    assert second.origin.user_id == harness.other.id
    assert (request.seed, request.width, request.height, request.num_images) == (101, 96, 144, 1)
    assert request.init_image is not None
    with Image.open(io.BytesIO(await harness.store.read_upload(request.init_image.key))) as start:
        assert (start.size, start.getpixel((0, 0))) == ((64, 96), (100, 120, 160))  # what the stage draws as number 2
    assert f"[upscale of #2](https://discord.com/channels/{harness.guild.id}/" in texts(card)
    assert not [custom_id for custom_id in custom_ids(card) if "upscale" in custom_id or "subtle" in custom_id]
    assert "already an upscale" in refusal(await send(harness, f"pastel:upscale1:{second.id}", message=card))


async def test_the_buttons_of_an_upscale_draw_its_original_again(harness: SimcordHarness):
    first = await harness.finished(seed=100, size="portrait")
    await harness.press(first, "upscale1")
    second = await harness.draw()

    shown = await harness.press(second, "remix")
    await harness.press(second, "reroll")

    third = await harness.last_job()
    assert shown.modal is not None
    assert (third.request.width, third.request.height, third.request.init_image) == (64, 96, None)
    assert third.parent is not None
    assert (third.parent.job_id, third.parent.relation) == (first.id, Relation.REROLL)


async def test_an_upscale_button_without_a_number_is_refused(harness: SimcordHarness):
    job = await harness.finished()

    assert "out of date" in refusal(await send(harness, f"pastel:upscale:{job.id}", message=harness.card(job)))
