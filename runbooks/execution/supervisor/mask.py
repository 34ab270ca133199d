"""Keeps secrets out of the log: replaces them, also where one arrives in several pieces."""

import bisect
import sys

HINT, LONG = 4, 32  # so many bytes that a long secret begins with are none: they may be shown before the rest comes
MUCH = 65536  # bytes after which it is worth while to prepare for more
WORD, MOST_WORDS = 8, 16384
SAMPLE = 16384
SIEVED, FEW = 39, 12  # a secret of 39 bytes has a whole word at one of the places that are 32 bytes apart


class Mask:
    """Replaces secret values, also where one arrives in several pieces."""

    def __init__(self, secrets):
        self.secrets = sorted(secrets, key=len, reverse=True)
        self.in_order = sorted(secrets)
        self.longest = max(map(len, secrets), default=0)
        self.first_bytes = {secret[0] for secret in secrets}
        self.seen = 0
        self.sieve = None

    def __call__(self, body):
        for secret in self._candidates(body):
            body = body.replace(secret, b"***")
        return body

    def unfinished(self, body):
        """What can be shown of an unfinished line, and the rest, which may be the beginning of a secret."""
        shown, done = b"", 0
        places = [(body.find(secret), -len(secret), secret) for secret in self._candidates(body)]
        while places := [place for place in places if place[0] >= 0]:
            start, size, _ = min(places)
            if len(body) - start < self.longest and self._beginning(body, done) <= start:
                break  # it may be a part of a longer one
            shown, done = shown + body[done:start] + b"***", start - size
            places = [(at if at >= done else body.find(secret, done), size, secret) for at, size, secret in places]
        cut = self._beginning(body, done)
        return shown + body[done:cut], body[cut:]

    def is_hint(self, text):
        """Whether this beginning is too short to be held back: a prompt may well end in the same letter."""
        if len(text) >= HINT:
            return False
        place = bisect.bisect_left(self.in_order, text)
        while place < len(self.in_order) and self.in_order[place].startswith(text):
            if len(self.in_order[place]) < LONG:
                return False
            place += 1
        return True

    def _candidates(self, body):
        """The secrets that may be in this text, the longest first: of most texts, none."""
        self.seen += len(body)
        if self.seen < MUCH:
            return self.secrets
        self.sieve = self.sieve or Sieve(self.secrets, body[:SAMPLE])
        return self.sieve.candidates(body)

    def _beginning(self, body, done):
        """Where the longest end of this text is that a secret begins with."""
        for position in range(max(done, len(body) - self.longest + 1), len(body)):
            if (
                body[position] in self.first_bytes
                and self._begins_a_longer_one(body[position : position + WORD])  # a quick no to nearly all of them
                and self._begins_a_longer_one(body[position:])
            ):
                return position
        return len(body)

    def _begins_a_longer_one(self, text):
        nearest = bisect.bisect_right(self.in_order, text)
        return nearest < len(self.in_order) and self.in_order[nearest].startswith(text)


class Sieve:
    """Says of a large text which secrets may be in it, in much less time than it takes to look for each.

    Wherever a long one is, it covers a whole word at one of the places that are a step apart: all words that the long
    ones could have there are known, and so few of the text's are looked at, and those only if it has one of the bytes
    that guard them. Of the others, those that are forms of the same value share a piece, which is looked for first.
    """

    def __init__(self, secrets, sample):
        often = [sample.count(byte) for byte in range(256)]
        rarest = {secret: min(set(secret), key=often.__getitem__) for secret in secrets}
        self.long = [secret for secret in secrets if len(secret) >= SIEVED]
        unguarded = [secret for secret in self.long if often[rarest[secret]]]
        if len(unguarded) <= FEW:  # to look for these few costs less than to look at words all the time
            self.long = [secret for secret in self.long if not often[rarest[secret]]]
        self.guards, left = [], self.long
        while left:
            self.guards.append(guard := rarest[left[0]])
            left = [secret for secret in left if guard not in secret]
        shortest = len(self.long[-1]) if self.long else SIEVED
        self.step = max(1, min((shortest - WORD + 1) // WORD, MOST_WORDS // WORD // max(1, len(self.long))))
        self.words = {
            int.from_bytes(secret[start : start + WORD], sys.byteorder)
            for secret in self.long
            for start in range(self.step * WORD)
        }
        families, long = {}, set(self.long)
        for secret in reversed(secrets):
            if secret not in long:
                piece = next((piece for piece in families if piece in secret), None) or longest_word(secret)
                families.setdefault(piece, []).append(secret)
        self.families = [(min(piece, key=often.__getitem__), piece, forms) for piece, forms in families.items()]

    def candidates(self, body):
        """Those that may be in it, the longest first."""
        found = []
        for guard in self.guards:
            if guard in body:
                found += self.long if self._has_word(body) else []
                break
        for guard, piece, forms in self.families:
            if guard in body and piece in body:
                found += forms
        return sorted(found, key=len, reverse=True)

    def _has_word(self, body):
        if len(body) < SIEVED:
            return False
        words = memoryview(body)[: len(body) // WORD * WORD].cast("Q")
        return not self.words.isdisjoint(words[:: self.step])


def longest_word(text):
    """What of this text stays as it is however it is escaped: its longest run of letters and digits, or all of it."""
    plain = bytes([byte if 48 <= byte < 58 or 65 <= byte < 91 or 97 <= byte < 123 else 32 for byte in text])
    word = max(plain.split(), key=len, default=b"")
    return word if len(word) >= 4 else text
