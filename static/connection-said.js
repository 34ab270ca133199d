// Says in one place how it stands with the stream, and counts: since when nothing was printed, when the next try is.
// connection.js knows how it stands, and tells runbookweb.connection.
(() => {
  const place = document.querySelector("[data-connection]");
  if (!place) return;

  const QUIET = 10_000; // milliseconds after which "no output" is worth a word
  const DEAF = 8000; // the server says something every 5 s: now it may be the connection, and no more the script
  const SLOW = 3000; // after which one wonders whether it connects at all
  const WORDS = {
    connecting: "connecting",
    live: "live",
    lost: "connection lost",
    silent: "the server does not answer",
    resting: "paused while other windows are live: click here to go on",
  };
  const said = place.querySelector("[data-connection-said]"); // a live region: changes of state alone
  const counted = place.querySelector("[data-connection-counted]");
  const doctor = place.querySelector("[data-connection-doctor]"); // for who loses it again and again
  let losses = 0;

  const seconds = (milliseconds) => {
    const count = Math.max(0, Math.round(milliseconds / 1000));
    return count < 120 ? `${count} s` : `${Math.floor(count / 60)} min`;
  };

  class Connection {
    state = place.dataset.connection;
    nextAt = 0; // when it is tried again
    lostAt = 0;
    heardAt = Date.now();
    beganAt = Date.now();
    outputAt = Date.now() - 1000 * (Number(place.dataset.silent) || 0); // the server's seconds, for clocks differ

    get isLost() { return ["lost", "silent"].includes(this.state); }
    get isOver() { return ["ended", "signed-out", "refused"].includes(this.state); }

    be(next, text = WORDS[next]) {
      if (next === "lost" && this.state === "live") doctor.hidden = ++losses < 2;
      if (!this.isLost) this.lostAt = Date.now();
      if (this.state !== next) this.beganAt = Date.now();
      this.state = next;
      place.dataset.connection = next;
      if (said.textContent !== text) said.textContent = text;
      this.count();
      place.dispatchEvent(new CustomEvent("connection", { detail: { state: next }, bubbles: true }));
    }

    refuse(status) {
      const here = location.pathname + location.search + location.hash;
      if (status === 401) {
        this.be("signed-out", "signed out:");
        this.#link(`/login/?next=${encodeURIComponent(here)}`, "sign in and come back here");
      } else {
        this.be("refused", "you may not see this run any more:");
        this.#link("", "reload the page");
      }
    }

    count() {
      const now = Date.now();
      const isQuiet = this.state === "live" && now - this.outputAt >= QUIET;
      counted.textContent = this.isLost ? this.#trying(now) : isQuiet ? this.#quiet(now) : this.#connecting(now);
      place.dataset.isQuiet = isQuiet;
      place.dataset.isDeaf = this.state === "live" && now - this.heardAt >= DEAF;
    }

    #connecting(now) {
      return this.state === "connecting" && now - this.beganAt > SLOW ? ` · for ${seconds(now - this.beganAt)}` : "";
    }

    #trying(now) {
      if (this.nextAt > now) return ` · next try in ${seconds(this.nextAt - now)}`;
      return ` · trying now, for ${seconds(now - this.lostAt)}`;
    }

    #quiet(now) {
      const isDeaf = now - this.heardAt >= DEAF;
      return isDeaf ? ` · nothing heard for ${seconds(now - this.heardAt)}` : ` · no output for ${seconds(now - this.outputAt)}`;
    }

    #link(address, text) {
      const link = document.createElement("a");
      Object.assign(link, { href: address, textContent: text, className: "connection__link" });
      said.append(" ", link);
    }
  }

  window.runbookweb = { ...window.runbookweb, connection: new Connection() };
})();
