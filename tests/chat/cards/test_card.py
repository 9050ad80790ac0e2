from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcord.components import walk_components

from bot.chat.cards.card import PICTURE_HINT, RenderedCard, render
from bot.domain.card import JobCard, ParentLink, QueuePosition
from bot.domain.downloads import Transfer
from bot.domain.image import ImageFile, StoredImage
from bot.domain.job import JobStatus, Parent, Relation
from bot.domain.progress import Phase, Progress
from bot.domain.request import MAX_SEED, InitImage, NoiseBlend, StyleChoice
from bot.messages import message
from tests import examples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARENT = Parent(job_id="f" * 16, relation=Relation.VARIATION, image_index=1)
LINK = ParentLink(user_id=11, guild_id=20, channel_id=30, message_id=41)


def card(status: JobStatus = JobStatus.DELIVERED, pictures: int = 1, **changes: Any) -> JobCard:
    job = examples.job(
        status=status,
        request=examples.request(num_images=pictures),
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=12.4),
    )
    return replace(JobCard(job=job, model_title="Test Model", files=files(pictures), images=images(pictures)), **changes)


def files(count: int) -> tuple[ImageFile, ...]:
    return tuple(ImageFile(name=f"p-{n}.png", data=b"x", description=f"Picture {n}") for n in range(count))


def images(count: int) -> tuple[StoredImage, ...]:
    return tuple(
        StoredImage(index=n, key=f"k{n}", seed=n, width=64, height=64, parameters="", size_bytes=1) for n in range(count)
    )


def components(rendered: RenderedCard) -> list[dict[str, Any]]:
    return list(walk_components(rendered.view.to_components()))


def text(rendered: RenderedCard) -> str:
    return "\n".join(part["content"] for part in components(rendered) if part["type"] == 10)


def actions(rendered: RenderedCard) -> list[str]:
    return [part["custom_id"].split(":")[1] for part in components(rendered) if part["type"] == 2]


def test_a_queued_card_says_its_place_and_when_it_is_ready_in_the_members_own_time():
    position = QueuePosition(ahead=3, done_at=NOW + timedelta(seconds=40))

    rendered = render(card(JobStatus.QUEUED, files=(), position=position))

    assert "#4 in line" in text(rendered)
    assert text(rendered).endswith("\n-# 1 credit")
    assert f"<t:{int(NOW.timestamp()) + 40}:R>" in text(rendered)
    assert actions(rendered) == ["cancel"]


@pytest.mark.parametrize(("ahead", "words"), [(0, "You're next"), (1, "#2 in line"), (2, "#3 in line")])
def test_a_queued_card_without_a_measured_speed_promises_no_time(ahead: int, words: str):
    said = text(render(card(JobStatus.QUEUED, files=(), position=QueuePosition(ahead=ahead))))

    assert words in said
    assert "<t:" not in said


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        (Transfer(title="the style *Faraway*"), r"Downloading the style \*Faraway\*…"),
        (
            Transfer(title="the style Pastel", done=120_400_000, total=393_854_624),
            "Downloading the style Pastel: 120 of 394 MB",
        ),
        (Transfer(title="the model X", done=3_210_000_000), "Downloading the model X: 3,210 MB"),
    ],
)
def test_a_card_whose_files_are_on_their_way_says_how_far_they_are(transfer: Transfer, words: str):
    said = text(render(card(JobStatus.QUEUED, files=(), progress=Progress(phase=Phase.FETCHING, transfer=transfer))))

    assert words in said
    assert "1 credit" in said


def test_a_card_whose_servers_queue_is_paused_says_so_and_promises_no_time():
    said = text(render(card(JobStatus.QUEUED, files=(), position=QueuePosition(ahead=0, is_paused=True))))

    assert "Paused by the moderators" in said
    assert "<t:" not in said


def test_a_running_card_shows_how_far_it_is_and_the_preview():
    progress = Progress(phase=Phase.DENOISING, num_images=4, step=42, steps=112)

    rendered = render(card(JobStatus.RUNNING, 4, files=files(1), progress=progress))

    assert "**37 %**" in text(rendered)
    assert "Step 10 of 28" in text(rendered)
    assert [len(part["items"]) for part in components(rendered) if part["type"] == 12] == [1]
    assert actions(rendered) == ["cancel"]


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (None, "Getting ready"),
        (Progress(phase=Phase.LOADING), "Waking up the model…"),
        (Progress(phase=Phase.DENOISING, step=3, steps=9), "Step 3 of 9"),
        (Progress(phase=Phase.DECODING, step=9, steps=9), "Finishing touches"),
    ],
)
def test_a_running_card_says_what_happens_right_now(progress: Progress | None, words: str):
    assert words in text(render(card(JobStatus.RUNNING, files=(), progress=progress)))


def test_a_finished_card_shows_pictures_with_alt_text_and_what_they_were_made_with():
    styles = (StyleChoice(name="ink", weight=0.4),)
    job = replace(card().job, request=examples.request(num_images=4, style="pastel", more_styles=styles))
    rendered = render(card(pictures=4, job=job, style_titles=("Pastel *Anime*", "Ink")))

    (gallery,) = [part for part in components(rendered) if part["type"] == 12]
    assert [item["description"] for item in gallery["items"]] == [f"Picture {n}" for n in range(4)]
    assert [item["media"]["url"] for item in gallery["items"]] == [f"attachment://p-{n}.png" for n in range(4)]
    assert [file.filename for file in rendered.files] == [f"p-{n}.png" for n in range(4)]
    facts = "seed `1000` · 64 × 64 · 4 steps · guidance 7 · Pastel \\*Anime\\* × 1 · Ink × 0.4 · Test Model · 12 s · 1 credit"
    assert facts in text(rendered)


def test_a_variation_links_to_its_parent():
    job = replace(card().job, parent=PARENT)

    assert "[variation of #2](https://discord.com/channels/20/30/41) by <@11>" in text(render(card(job=job, parent=LINK)))
    assert "variation of #2" in text(render(card(job=job)))
    in_dm = replace(LINK, guild_id=None)
    assert "/channels/@me/30/41" in text(render(card(job=job, parent=in_dm)))


def upscale(status: JobStatus = JobStatus.DELIVERED) -> JobCard:
    large = examples.request(width=96, height=96, init_image=InitImage(key="k", strength=0.3, drawn_here=True))
    parent = replace(PARENT, relation=Relation.UPSCALE)
    return card(status, job=replace(card(status).job, request=large, parent=parent), parent=LINK)


def test_a_card_says_the_price_that_was_reserved_whatever_the_same_request_would_cost_now():
    job = replace(card().job, price=7)

    assert " · 7 credits" in text(render(card(job=job)))
    assert "7 credits" in text(render(card(job=replace(job, status=JobStatus.QUEUED))))
    assert "3 of 7 credits" in text(render(card(job=replace(job, paid=3))))


def test_an_upscale_is_called_one_and_offers_nothing_that_needs_a_picture_of_usual_size():
    rendered = render(upscale())

    assert "[upscale of #2](https://discord.com/channels/20/30/41) by <@11>" in text(rendered)
    assert actions(rendered) == ["reroll", "remix", "details", "delete", "report"]
    assert PICTURE_HINT not in text(rendered)


@pytest.mark.parametrize(("status", "offered"), [(JobStatus.FAILED, ["details", "delete"]), (JobStatus.CANCELLED, ["delete"])])
def test_an_upscale_that_came_to_nothing_is_tried_again_on_the_card_that_it_links_to(status: JobStatus, offered: list[str]):
    assert actions(render(upscale(status))) == offered


@pytest.mark.parametrize(("pictures", "offered"), [(1, [3]), (2, [2, 2, 2]), (3, [3, 3, 3]), (4, [4, 4, 4])])
def test_every_picture_can_be_varied_and_upscaled(pictures: int, offered: list[int]):
    rendered = render(card(pictures=pictures))

    numbered = [action for action in actions(rendered) if action[-1].isdigit()]
    wanted = [f"{action}{n}" for action in ("subtle", "strong", "upscale") for n in range(1, pictures + 1)]
    rows = [len(part["components"]) for part in components(rendered) if part["type"] == 1]
    assert numbered == wanted
    assert rows == [5, *offered]
    assert PICTURE_HINT in text(rendered)


def test_a_failed_card_shows_the_sentence_and_offers_another_try():
    job = replace(card(JobStatus.FAILED).job, failure=message("Out of memory. Choose a smaller size."))

    rendered = render(card(JobStatus.FAILED, files=(), job=job))

    assert "Out of memory. Choose a smaller size." in text(rendered)
    assert actions(rendered) == ["reroll", "remix", "details", "delete"]


def test_a_cancelled_card_is_quiet():
    job = replace(card(JobStatus.CANCELLED).job, paid=0)

    rendered = render(card(JobStatus.CANCELLED, files=(), images=(), job=job))

    assert "-# Cancelled · free" in text(rendered)
    assert actions(rendered) == ["reroll", "remix", "delete"]


def test_a_note_stands_where_the_pictures_are_too_large():
    rendered = render(card(pictures=2, files=(), note="The pictures are too large for this server."))

    assert "too large for this server" in text(rendered)
    assert "subtle2" in actions(rendered)


def test_odd_and_double_file_names_become_plain_ones():
    odd = tuple(ImageFile(name=name, data=b"x") for name in ("a b/../ü.png", "same.png", "same.png", "../x"))

    names = [file.filename for file in render(card(pictures=4, files=odd)).files]

    assert len(set(names)) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_a_card_can_be_rendered_again_for_another_try():
    first, second = render(card()), render(card())

    assert first.files[0].fp.read() == second.files[0].fp.read() == b"x"


async def test_a_rendered_card_leaves_nothing_in_discord_pys_memory():
    assert render(card()).view.is_finished()


REQUESTS = st.builds(
    examples.request,
    prompt=st.text(min_size=1, max_size=2000).filter(lambda text: "".join(text.split()).isprintable() and text.strip()),
    negative_prompt=st.just(""),
    num_images=st.integers(1, 4),
    num_inference_steps=st.integers(1, 60),
    guidance_scale=st.floats(1, 20),
    seed=st.integers(0, MAX_SEED),
    adapter_weight=st.floats(0, 1.5),
    blends=st.just((NoiseBlend(seed=1, strength=0.5),)),
    init_image=st.none() | st.builds(InitImage, key=st.just("k"), strength=st.just(0.5), drawn_here=st.booleans()),
)
JOBS = st.builds(
    lambda request, status, failure, parent: replace(
        examples.job(), request=request, status=status, failure=failure, parent=parent, started_at=NOW, finished_at=NOW
    ),
    REQUESTS,
    st.sampled_from(JobStatus),
    st.none() | st.text(max_size=3000).map(message),
    st.none() | st.just(PARENT),
)
FILES = st.lists(
    st.builds(ImageFile, name=st.text(max_size=30), data=st.just(b"x"), description=st.text(max_size=1500)), max_size=6
).map(tuple)
CARDS = st.builds(
    JobCard,
    job=JOBS,
    model_title=st.text(max_size=300),
    style_titles=st.lists(st.text(max_size=300), max_size=3).map(tuple),
    position=st.none() | st.builds(QueuePosition, ahead=st.integers(0, 10**6), done_at=st.none() | st.just(NOW)),
    progress=st.none()
    | st.builds(
        Progress,
        phase=st.sampled_from(Phase),
        decoded=st.integers(0, 3),
        num_images=st.integers(1, 4),
        step=st.integers(0, 60),
        steps=st.integers(0, 60),
    ),
    images=st.integers(0, 4).map(images),
    files=FILES,
    parent=st.none() | st.just(LINK),
    note=st.none() | st.text(max_size=3000),
)


@given(CARDS)
def test_every_card_keeps_discords_limits(drawn: JobCard):
    rendered = render(drawn)

    parts = components(rendered)
    assert len(parts) <= 40
    assert len(text(rendered)) <= 4000
    ids = [part["custom_id"] for part in parts if "custom_id" in part]
    assert len(ids) == len(set(ids))
    assert all(len(custom_id) <= 100 for custom_id in ids)
    assert all(re.fullmatch(rf"pastel:[a-z]+[1-4]?:{drawn.job.id}", custom_id) for custom_id in ids)
    assert all(len(part["content"]) >= 1 for part in parts if part["type"] == 10)
    assert all(1 <= len(part["components"]) <= 5 for part in parts if part["type"] == 1)
    names = [file.filename for file in rendered.files]
    assert len(names) == len(set(names)) <= 4
    shown = [item for part in parts if part["type"] == 12 for item in part["items"]]
    assert all(len(item["description"]) <= 1024 for item in shown)
    assert all(item["media"]["url"].removeprefix("attachment://") in names for item in shown)


@pytest.mark.parametrize("status", JobStatus)
def test_the_longest_words_fit_too(status: JobStatus):
    signs = "*" * 2000
    job = replace(card(status).job, request=examples.request(prompt=signs, num_images=4), failure=message(signs), parent=PARENT)

    rendered = render(card(status, 4, job=job, model_title=signs, style_titles=(signs,), note=signs, parent=LINK))

    assert len(text(rendered)) <= 4000


@given(st.text(alphabet="@<>#&!:/*_~|`[]()\\ everyonhr1230tp.-", min_size=1, max_size=300).filter(str.strip))
def test_a_prompt_never_becomes_a_mention_a_link_or_formatting(prompt: str):
    rendered = render(card(job=examples.job(request=examples.request(prompt=prompt), status=JobStatus.QUEUED)))

    title = next(part["content"] for part in components(rendered) if part["type"] == 10).splitlines()[0]
    inside = title.removeprefix("**").removesuffix("**").replace("\\\\", "")
    assert not re.search(r"(?<!\\)[<*_~|`\[#]", inside)
    assert "@everyone" not in inside
    assert "@here" not in inside
    assert "://" not in inside
