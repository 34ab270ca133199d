"""A run's log as it is in its file, as one download."""

from runbooks.models import Run
from runbooks.output.follow import Reader
from runbooks.output.stream import TEXT, Refusal, Stream
from runbooks.threads import in_thread


class LogText(Stream):
    """The log of `run`, which a subclass fetches, so far."""

    content_type = TEXT
    greeting = b""
    run: Run

    async def open(self) -> None:
        await super().open()
        # Not an empty text: that would say that the script has printed nothing.
        if self.run.started_at and not await in_thread(self.run.log.exists):
            raise Refusal(404, "The log of this run is not there any more.")

    async def pump(self) -> None:
        reader = Reader(self.run)
        try:
            for part in reader.read_to(reader.end()):
                await self.send_body(part.data, more_body=True)
        finally:
            reader.close()
