// The lines of a log that the page holds: a range without a gap and no line twice, bounded however long the log is.
// Scripts ask runbookweb.log for lines, and hear from the panel: log:lines (new on the page), log:tail (the log grew).
(() => {
  const MOST = 4000; // rows; a screen shows about 50, and a phone has to carry them all
  const FAR = 2000; // lines: whoever follows and is further behind begins anew at the end
  const panel = document.querySelector("[data-log]");
  if (!panel) return;

  const firstOf = (chunk) => Number(chunk.dataset.first);
  const lastOf = (chunk) => Number(chunk.dataset.last);

  class Log {
    panel = panel;
    scroller = panel.querySelector("[data-log-lines]");
    isFollowing = false;
    #box = panel.querySelector("[data-log-chunks]");
    #late = new Map();
    #asked = new Set();
    #turn = 0;
    #rows = 0;

    constructor() {
      const [head, foot] = [this.#box.firstElementChild, this.#box.lastElementChild];
      this.first = head ? firstOf(head) : 1;
      this.last = foot ? lastOf(foot) : 0;
      this.tail = Math.max(this.last, Number(panel.dataset.tail));
      for (const chunk of this.chunks) this.#count(chunk);
      panel.dataset.times ||= matchMedia("(max-width: 40rem)").matches ? "none" : "absolute"; // as log.css has it so far
      panel.dataset.isScripted = "";
    }

    get chunks() { return [...this.#box.children]; }
    get hasTail() { return this.last >= this.tail; }
    get hasHead() { return this.first <= 1; }
    row(number) { return document.getElementById(`L${number}`); }
    rows(part) { return part.matches(".log__line") ? [part] : [...part.children]; }
    number(row) { return Number(row.id.slice(1)); }

    // What the stream brings: taken in where it joins on, else only counted.
    take(chunk) {
      const hadTail = this.hasTail;
      this.#grow(lastOf(chunk));
      const gap = firstOf(chunk) - this.last - 1;
      if (lastOf(chunk) > this.last) {
        if (hadTail && gap <= 0 && (this.isFollowing || this.#rows < MOST)) this.#append([chunk], lastOf(chunk));
        else if (this.isFollowing && gap > FAR) this.#begin([chunk], firstOf(chunk), lastOf(chunk));
        else if (this.isFollowing) this.extend("after");
      }
      this.tell("log:tail");
    }

    // A line that had begun before has changed; one that is not here may be on its way in an answer.
    replaced(number, html) {
      this.#late.delete(number);
      this.#late.set(number, html);
      if (this.#late.size > 20) this.#late.delete(this.#late.keys().next().value);
      if (this.row(number)) this.tell("log:lines", [this.row(number)]);
    }

    // Begin anew with lines from somewhere else: { around: 120 }, { from: 1 } or { end: 1 }.
    async open(where) {
      const turn = ++this.#turn;
      const answer = await this.#ask(where);
      if (turn !== this.#turn || !answer) return false;
      this.#begin(answer.chunks, answer.first, answer.last);
      return true;
    }

    // Bring a line into view, wherever it is in the log, and all lines if it is none of those that are shown.
    async show(number) {
      this.isFollowing = false;
      if (number < this.first || number > this.last) await this.open({ around: number });
      if (!this.row(number) && panel.dataset.only) {
        panel.dataset.only = "";
        this.tell("log:all");
        await this.open({ around: number });
      }
      this.#centre(this.row(number));
      this.tell("log:shown");
    }

    // Make a line, or else the next one that is shown, the first that is seen.
    scrollTo(number) {
      const rows = this.chunks.flatMap((chunk) => this.rows(chunk));
      const row = rows.find((row) => this.number(row) >= number) ?? rows.at(-1);
      if (row) this.scroller.scrollTop += row.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
      this.tell("log:shown");
    }

    // Within the panel alone: the page around it stays where it is, unless the panel is out of sight.
    #centre(row) {
      if (!row) return;
      const [box, line] = [this.scroller, row].map((element) => element.getBoundingClientRect());
      this.scroller.scrollTop += line.top - box.top - (box.height - line.height) / 2;
      if (box.bottom < 0 || box.top > innerHeight) this.scroller.scrollIntoView({ block: "nearest" });
    }

    // The number of the first line that is seen.
    top() {
      const row = this.#rowBelow(this.scroller.getBoundingClientRect().top);
      return row && this.number(row);
    }

    async extend(side) {
      if (this.#asked.has(side) || (side === "before" ? this.hasHead : this.hasTail)) return;
      this.#asked.add(side);
      const turn = this.#turn;
      const answer = await this.#ask(side === "before" ? { before: this.first } : { from: this.last + 1 });
      this.#asked.delete(side);
      if (!answer || turn !== this.#turn) return;
      if (side === "before") this.#prepend(answer);
      else this.#append(answer.chunks, answer.last);
      if (this.isFollowing) this.extend("after");
    }

    // Change something above the reader, and leave what is being read where it is.
    keep(change) {
      const row = this.#rowBelow(this.scroller.getBoundingClientRect().top);
      const was = row?.getBoundingClientRect().top;
      // The browser's own anchoring would move it once more.
      this.scroller.style.overflowAnchor = "none";
      change();
      if (row?.isConnected) this.scroller.scrollTop += row.getBoundingClientRect().top - was;
      requestAnimationFrame(() => { this.scroller.style.overflowAnchor = ""; });
    }

    tell(name, parts = []) { panel.dispatchEvent(new CustomEvent(name, { detail: { parts } })); }

    // The numbers' column is as wide as the last one needs it.
    #grow(tail) {
      const digits = String(tail).length;
      this.tail = Math.max(this.tail, tail);
      if (digits <= Number(panel.dataset.digits)) return;
      const widen = () => { panel.dataset.digits = digits; };
      this.isFollowing ? widen() : this.keep(widen);
    }

    #rowBelow(height) {
      const isBelow = (element) => element.getBoundingClientRect().bottom > height;
      const chunk = this.chunks.find(isBelow);
      return chunk && this.rows(chunk).find(isBelow);
    }

    #begin(chunks, first, last) {
      this.#turn += 1;
      this.#box.replaceChildren();
      Object.assign(this, { first, last: first - 1 });
      this.#rows = 0;
      this.#append(chunks, last);
    }

    #append(chunks, last) {
      const shown = chunks.filter((chunk) => this.#fit(chunk, (number) => number > this.last));
      this.#box.append(...shown);
      this.last = Math.max(this.last, last);
      if (this.#rows > MOST) this.isFollowing ? this.#trimHead() : this.keep(() => this.#trimHead());
      this.#arrived(shown);
    }

    #prepend({ chunks, first, last }) {
      if (last < this.first - 1) return; // the top has gone meanwhile
      const shown = chunks.filter((chunk) => this.#fit(chunk, (number) => number < this.first));
      this.keep(() => this.#box.prepend(...shown));
      this.first = Math.min(this.first, first);
      while (this.#rows > MOST && this.#box.children.length > 1) this.last = firstOf(this.#drop(this.#box.lastElementChild)) - 1;
      this.#arrived(shown);
    }

    #trimHead() {
      while (this.#rows > MOST && this.#box.children.length > 1) this.first = lastOf(this.#drop(this.#box.firstElementChild)) + 1;
    }

    #drop(chunk) {
      this.#rows -= chunk.children.length;
      chunk.remove();
      return chunk;
    }

    // Leave out the rows that are here already, and those that nobody wants to see; false if that is all of them.
    #fit(chunk, isNew) {
      for (const row of this.rows(chunk)) {
        const isWanted = panel.dataset.only !== "stderr" || row.matches(".log__line--stderr");
        if (!isWanted || !isNew(this.number(row))) row.remove();
      }
      this.#count(chunk);
      return chunk.children.length > 0;
    }

    // A chunk that is out of sight is not laid out: how high it is must be told, or there would be nothing to scroll.
    #count(chunk) {
      const { length } = chunk.children;
      this.#rows += length;
      chunk.style.setProperty("--log-lines", length);
    }

    #arrived(parts) {
      for (const [number, html] of this.#late) {
        if (parts.some((part) => firstOf(part) <= number && number <= lastOf(part))) this.#rewrite(number, html);
      }
      this.tell("log:lines", parts);
    }

    #rewrite(number, html) {
      const template = document.createElement("template");
      template.innerHTML = html;
      this.row(number)?.replaceWith(template.content);
    }

    async #ask(where) {
      const address = new URL(panel.dataset.linesUrl, location);
      for (const [name, value] of Object.entries(where)) address.searchParams.set(name, value);
      if (panel.dataset.only) address.searchParams.set("only", panel.dataset.only);
      try {
        const response = await fetch(address);
        if (!response.ok) throw new Error(`status ${response.status}`);
        return this.#read(response.headers, await response.text());
      } catch {
        this.tell("log:trouble");
      }
    }

    #read(headers, html) {
      const template = document.createElement("template");
      template.innerHTML = html;
      const [first, last, count] = ["First", "Last", "Count"].map((name) => Number(headers.get(`Log-${name}`)));
      this.#grow(count);
      return { chunks: [...template.content.querySelectorAll(".log__chunk")], first, last };
    }
  }

  window.runbookweb = { ...window.runbookweb, log: new Log() };
})();
