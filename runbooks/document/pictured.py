"""Text as it can be shown: what cannot be seen, or would let the rest read differently, has a picture in its place."""

import re

PICTURES = {code: 0x2400 + code for code in range(32) if code not in (9, 10, 27)} | {127: 0x2421}
PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)  # C1 controls: some terminals obey them
# Directional overrides would let a line read differently from what it says.
PICTURES |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
HARMFUL = re.compile("[" + "".join(re.escape(chr(code)) for code in PICTURES) + "]")


def pictured(text: str) -> str:
    """The text with a picture for each control character."""
    return text.translate(PICTURES) if HARMFUL.search(text) else text
