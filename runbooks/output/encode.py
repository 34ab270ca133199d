"""What goes over the wire: parts of a log as Server-Sent Events."""


def sse(data: str, *, event: str = "", id: int | None = None) -> bytes:
    r"""One event; https://html.spec.whatwg.org/multipage/server-sent-events.html.

    A `\r` would end a line for the client, so it is shown as its picture.
    """
    lines = []
    if event:
        lines.append(f"event: {event}")
    if id is not None:
        lines.append(f"id: {id}")
    lines += [f"data: {line}" for line in data.replace("\r", "␍").split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")
