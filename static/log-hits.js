// Finds a text in the whole log: the server looks piece by piece, and a bounded part of the hits is held at a time.
// A search is { query, near (the line around which hits are held), lines (those), before (how many hits there are before
// them), count (in all so far), until (the line up to which it was looked), passed (the hits up to there), starts (lines
// to look from, each with the hits before it: the last one for what is held) and is_complete }; nothing changes it: what
// goes on gives another.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const MOST = 10_000; // hits; the server tells as many at once
  const { panel } = log;
  const form = panel.querySelector("[data-log-search]");

  async function ask(query, from, near) {
    const address = new URL(form.action, location);
    for (const [name, value] of Object.entries({ q: query, from, near })) address.searchParams.set(name, value);
    if (panel.dataset.only) address.searchParams.set("only", panel.dataset.only);
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.json();
  }

  // What comes after a line that has not ended is told again when one goes on: here it does not count.
  const passed = ({ lines, count, skipped, until }) =>
    lines.at(-1) > until ? skipped + lines.filter((line) => line <= until).length : count;

  async function open(query, starts, near) {
    const { from, before } = starts.at(-1);
    const answer = await ask(query, from, near);
    const lines = answer.lines.filter((line) => line >= from); // one that had begun before is told there
    const count = answer.count - (answer.lines.length - lines.length);
    return {
      ...answer, query, near, starts, lines,
      before: before + answer.skipped,
      count: before + count,
      passed: before + passed({ ...answer, lines, count }),
    };
  }

  // The same, looked on until one knows what is around that line.
  async function reach(query, starts, near) {
    let found = await open(query, starts, near);
    while (!found.is_complete && found.until < near) found = await goOn(found);
    return found;
  }

  // As many as may be held, around a line; the server does the same with what it finds.
  function around(lines, near) {
    let skipped = 0;
    while (lines.length - skipped > MOST && lines[skipped + MOST / 2] < near) skipped += MOST / 2;
    return { skipped, lines: lines.slice(skipped, skipped + MOST) };
  }

  // The lines that nobody has looked at yet; one from before them may have ended only now.
  async function goOn(found) {
    const start = { from: found.until + 1, before: found.passed };
    const more = await ask(found.query, start.from, found.near);
    const known = found.lines.filter((line) => line <= found.until);
    const again = more.lines.filter((line) => line <= found.until && known.includes(line)).length;
    const counts = { count: found.passed + more.count - again, passed: found.passed + passed(more) - again };
    // Those that are known lie before as many others: they are dropped.
    if (more.skipped) return { ...found, ...more, ...counts, starts: [...found.starts, start], before: start.before + more.skipped };
    const isWhole = found.before + known.length >= found.passed; // or there are hits between these and those
    const all = isWhole ? [...new Set([...known, ...more.lines])].sort((a, b) => a - b) : known;
    const { skipped, lines } = around(all, found.near);
    const isSame = lines.length === found.lines.length && lines.every((line, place) => line === found.lines[place]);
    return { ...found, ...more, ...counts, lines: isSame ? found.lines : lines, before: found.before + skipped };
  }

  // What is held after these hits or before these; after the last one the first again, and before the first the last.
  function next({ query, lines, starts, before, count }, by) {
    const [{ from, before: passedOver }, end] = [starts.at(-1), before + lines.length];
    const first = starts.slice(0, 1);
    if (by > 0 && end < count) return reach(query, [...starts, { from: lines.at(-1) + 1, before: end }], 1);
    if (by > 0) return reach(query, first, 1);
    if (before > passedOver) return reach(query, starts, lines[0]);
    if (before) return reach(query, starts.slice(0, -1), from);
    return reach(query, first, log.tail);
  }

  async function turn(found, by) {
    if (found.lines.length >= found.count) return found;
    const turned = await next(found, by);
    return turned.lines.length ? turned : found;
  }

  const begin = (query, near) => open(query, [{ from: 1, before: 0 }], near);
  window.runbookweb = { ...window.runbookweb, hits: { begin, goOn, turn } };
})();
