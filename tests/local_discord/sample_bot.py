"""A bot of a few lines that uses every way Pastel uses, to test the local Discord itself: python -m ... ORIGIN TOKEN."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from tests.local_discord.attach import attach


class Card(ui.LayoutView):
    def __init__(self, text: str, files: list[discord.File], job: str) -> None:
        super().__init__(timeout=None)
        self.add_item(ui.TextDisplay(text))
        if files:
            self.add_item(ui.MediaGallery(*(discord.MediaGalleryItem(file) for file in files)))
        self.add_item(ui.ActionRow(Again(job)))


class Again(ui.DynamicItem[ui.Button[Any]], template=r"again:(?P<job>\w+)"):
    def __init__(self, job: str) -> None:
        super().__init__(ui.Button(label="Again", custom_id=f"again:{job}"))
        self.job = job

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction, __: ui.Item[Any], match: re.Match[str]) -> Again:
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.send_modal(Form(self.job))


class Form(ui.Modal):
    def __init__(self, job: str) -> None:
        super().__init__(title="Again", custom_id=f"form:{job}")
        self.prompt = ui.TextInput[Any](custom_id="prompt", default=f"prompt of {job}")
        self.add_item(ui.Label(text="Prompt", component=self.prompt))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"form says {self.prompt.value}", ephemeral=True)


class SampleBot(commands.AutoShardedBot):
    def __init__(self) -> None:
        super().__init__(
            "!", intents=discord.Intents(guilds=True), allowed_mentions=discord.AllowedMentions.none(), help_command=None,
            guild_ready_timeout=0.1,
        )  # fmt: skip

    async def setup_hook(self) -> None:
        self.add_dynamic_items(Again)
        self.tree.add_command(draw)
        self.tree.add_command(say)
        await self.tree.sync()


@app_commands.command(description="Draw")
async def draw(interaction: discord.Interaction, prompt: str, picture: discord.Attachment | None = None) -> None:
    await interaction.response.defer(thinking=True)
    data = await picture.read() if picture else b"\x89PNG drawn"
    files = [discord.File(io.BytesIO(data), f"{index}.png") for index in range(2)]
    await interaction.edit_original_response(view=Card(prompt, files, "j1"), attachments=files)
    fetched = await interaction.original_response()
    assert [file.filename for file in fetched.attachments] == ["0.png", "1.png"]


@draw.autocomplete("prompt")
async def complete(_: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=f"{current} {more}", value=f"{current} {more}") for more in ("hat", "cat")]


@app_commands.command(description="Post into the channel, twice with one nonce, then edit and find it")
async def say(interaction: discord.Interaction[SampleBot], text: str) -> None:
    await interaction.response.defer(ephemeral=True)
    channel = interaction.client.get_partial_messageable(interaction.channel_id or 0)
    first = await channel.send(text, nonce="n1")
    second = await channel.send(text, nonce="n1")
    await channel.get_partial_message(second.id).edit(content=f"{text} edited")
    seen = [message.content async for message in channel.history(limit=5)]
    await interaction.followup.send(f"{first.id == second.id} {seen[0]}")


if __name__ == "__main__":
    attach(sys.argv[1])
    SampleBot().run(sys.argv[2])
