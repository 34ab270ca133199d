"""A run's log as it is in its file, as one download."""

from runbooks.models import Run
from runbooks.output.follow import Reader
from runbooks.output.stream import TEXT, Stream


class LogText(Stream):
    """The log of `run`, which a subclass fetches, so far."""

    content_type = TEXT
    greeting = b""
    run: Run

    async def pump(self) -> None:
        reader = Reader(self.run)
        try:
            for part in reader.read_to(reader.end()):
                await self.send_body(part.data, more_body=True)
        finally:
            reader.close()
