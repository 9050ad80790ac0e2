"""Characters that look like Latin letters. Unicode's own folding (NFKC) leaves them as they are."""

from __future__ import annotations

from functools import cache

# A letter and its look-alikes, capitals apart from small ones where they look different (the Greek capital of η is an H).
_LOOK_ALIKES = {
    "a": "АаΑαɑᴀɐⱥᎪꓮʌӕ",
    "b": "ВвьЬΒβʙƀᏴꓐ฿ƅЪъ",
    "c": "СсϹϲᴄȼᏟꓚ₵ƈↄ",
    "d": "ժԁᴅđðᎠꓓɗɖԀ∂",
    "e": "ҽЕеЭэєЄΕεεɛᴇəǝɇᎬꓰℯ€ɘ",
    "f": "ꜰꓝƒϝϜẝғҒ",
    "g": "ɡɢǥᏀꓖցԌɠ₲",
    "h": "НнһҺΗʜħɥᎻꓧհԨћђ",
    "i": "ІіӀӏΙιıɪɨɩᎥꓲⅼӀ",
    "j": "ЈјᴊɉᎫꓙϳյʝ",
    "k": "КкΚκᴋꝁᏦꓗҚқϗ₭ƙ",
    "l": "ʟłƚɭᏞꓡլ£ƖӏɫŁ",
    "m": "МмΜᴍᎷꓟϺ₥ɱ",
    "n": "ղПпΝηɴꓠոռŋɲƞ₦ИийЙ",
    "o": "ОоΟοσΩωᴏøꓳօՕɔ¤θΘØ○◯ө",
    "p": "РрΡρᴘᵽꓑᏢþրƥ₱ϼ",
    "q": "Ԛԛǫգզʠ",
    "r": "ГгЯяʀɍɹᎡꓣᏒɾɼг",
    "s": "ЅѕꜱᏚꓢՏʂ§ƨ",
    "t": "ТтΤτᴛŧʇᎢꓔ₮ƭ",
    "u": "ЦцΥυμᴜʉꓴսՍʋս",
    "v": "ѴѵνᴠᏙꓦ",
    "w": "ԜԝᴡᏔꓪɯʍшШωա₩ѡ",
    "x": "ХхΧχꓫҳҲ᙮",
    "y": "УуҮүΥγʏɏꓬ¥ყɣ",
    "z": "ΖζᴢƶᏃꓜʐʑ",
    "ae": "æ",
    "oe": "œ",
    " r18 ": "\U0001f51e",  # the sign "no one under eighteen"
}
_ALPHABETS = (0x1F1E6, 0x1F150, 0x1F170)  # regional indicators, white letters in black circles and in black squares


@cache
def homoglyphs() -> dict[int, str]:
    """What `str.translate` replaces each look-alike by."""
    table = {ord(sign): letter for letter, signs in _LOOK_ALIKES.items() for sign in signs}
    table |= {start + place: chr(ord("a") + place) for start in _ALPHABETS for place in range(26)}
    return table
