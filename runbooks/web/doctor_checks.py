"""What the doctor looks at, and what it says of each finding; the measuring itself is in static/doctor-*.js."""

from dataclasses import dataclass

LONG = ("silence", "pings")


@dataclass(frozen=True)
class Check:
    """One thing to measure: what each verdict means (good, note, bad), and the lines of nginx's that mend it."""

    name: str
    title: str
    good: str
    note: str = ""
    bad: str = ""
    change: str = ""

    @property
    def id(self) -> str:
        """Of the element with the lines that mend it."""
        return f"change-{self.name}"

    @property
    def change_when(self) -> str:
        """The verdicts that those lines are shown for."""
        return "note bad" if self.name in LONG else "bad" if self.bad else "note"

    @property
    def words(self) -> list[tuple[str, str]]:
        """Each verdict that there can be, with what it means."""
        said = {"good": self.good, "note": self.note, "bad": self.bad}
        return [(verdict, text) for verdict, text in said.items() if text]


UNBUFFERED = "proxy_buffering off;  # or do not ignore X-Accel-Buffering\nproxy_cache off;"
PATIENT = "proxy_read_timeout 75s;"
CHECKS = (
    Check(
        "lines",
        "Lines arrive when they are printed",
        good="Nothing between here and the server holds output back.",
        bad="Something holds the lines back and hands them over in lumps: a proxy that buffers. It ignores the header "
        "X-Accel-Buffering: no, which each stream of ours carries. Turn its buffering off for this site.",
        change=UNBUFFERED,
    ),
    Check(
        "encoding",
        "Streams are passed on as they are",
        good="Nobody compresses them.",
        note="A proxy compresses the streams. The lines arrive in time all the same, so nothing has to change.",
        bad="A proxy compresses the streams, and collects lines until they are worth it. Turn compression off for the "
        "type text/event-stream.",
        change="# without text/event-stream, and without *\ngzip_types text/css text/javascript application/json;",
    ),
    Check(
        "ready",
        "The server is ready",
        good="Its database, its folders and its runner answer.",
        bad="A run that is asked for now may not begin. What it says of itself is above; its log says more.",
    ),
    Check(
        "trip",
        "The way to the server and back",
        good="Short enough not to be noticed.",
        note="Each click waits that long at least: the server, or the network, is far away or busy. Nothing is lost.",
    ),
    Check(
        "protocol",
        "Many runs can be open at once",
        good="All tabs share one connection.",
        note="Over HTTP/1.1 a browser opens six connections to one server, and each run that is shown live takes one. "
        "With more than a few side by side, let the proxy speak HTTP/2.",
        change="listen 443 ssl;\nhttp2 on;  # before nginx 1.25: listen 443 ssl http2;",
    ),
    Check(
        "secure",
        "The browser trusts the connection",
        good="Notifications and copying by a button are allowed.",
        note="This page came over plain HTTP, so others on the network can read along, and the browser allows neither "
        "notifications nor copying by a button. Let a proxy end TLS in front of the server.",
        change="listen 443 ssl;\nproxy_set_header X-Forwarded-Proto $scheme;",
    ),
    Check(
        "socket",
        "Programs can open WebSockets",
        good="The API's sockets pass.",
        note="The API's sockets do not pass. Pages do not need them, and programs can read events instead. If you want "
        "them, have the proxy pass on these headers, Host as the browser sent it.",
        change="proxy_http_version 1.1;\nproxy_set_header Host $http_host;\n"
        'proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection "upgrade";',
    ),
    Check(
        "clock",
        "The clocks agree",
        good="Times here and on the server are the same.",
        note="One of the two clocks is wrong. Nothing breaks, but “2 min ago” may not be: set both by NTP.",
    ),
    Check(
        "silence",
        "A long silence is not cut",
        good="A connection on which nothing comes for that long stays open.",
        note="Something cuts connections that are silent for that long. Streams here are never silent for more than "
        "five seconds, so no run is affected; a longer time-out costs nothing.",
        bad="Something cuts a connection on which nothing comes for so short a time: a proxy's read time-out. Pages "
        "then lose their stream again and again; they come back by themselves, with nothing missing, but late.",
        change=PATIENT,
    ),
    Check(
        "pings",
        "A quiet run stays connected",
        good="What the server sends every five seconds keeps the stream open.",
        bad="The stream is cut although the server sends something every five seconds. Give the proxy a longer "
        "read time-out.",
        change=PATIENT,
    ),
)
