"""What a picture says of how it was made, and what of that can be drawn here."""

from __future__ import annotations

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.infotext.importer import UNREAD, PictureImport, import_settings
from bot.domain.infotext.reader import parse
from bot.domain.job import Origin
from bot.domain.request import Draft
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.ports import ImageCodec
from bot.services.gate import Gate
from bot.services.request_builder import RequestBuilder
from bot.services.text_reader import TextReader

NO_TEXT = translatable("This picture has no settings in it. Many sites strip them, and screenshots never have any.")


class SettingsImport:
    """Reads strangers' pictures. What comes out is a draft for a form; what a member makes of it is checked as any other."""

    def __init__(self, *, codec: ImageCodec, requests: RequestBuilder, gate: Gate, reader: TextReader) -> None:
        self._codec = codec
        self._requests = requests
        self._gate = gate
        self._reader = reader

    async def in_picture(self, data: bytes, origin: Origin) -> PictureImport:
        """Raises InvalidRequestError for what is no picture, and for one that says nothing."""
        text = await self._codec.read_parameters(data)
        if text is None:
            raise InvalidRequestError(NO_TEXT)
        return await self.in_text(text, origin)

    async def in_text(self, text: str, origin: Origin) -> PictureImport:
        """The same from its text, under the settings of the server where they ask. Raises QuotaError for who asks too fast."""
        settings = await self._gate.settings(origin.guild_id)
        return await self._reader.read(origin.user_id, self._understood, text, settings)

    async def to_fill_in(self, text: str, origin: Origin) -> Draft:
        """What the form is filled with that draws it here. Raises NotAllowedError for a member who is blocked, and
        InvalidRequestError for a text that nobody here understands.
        """
        await self._gate.check_block(origin)
        picture_import = await self.in_text(text, origin)
        if not picture_import.settings.is_understood:
            raise InvalidRequestError(UNREAD)
        return picture_import.imported.draft

    def _understood(self, text: str, settings: GuildSettings) -> PictureImport:
        found = parse(text)
        imported = import_settings(found, self._requests.profile, self._requests.catalog, settings)
        return PictureImport(text=text, settings=found, imported=imported)
