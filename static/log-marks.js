// Marks the hits of the search in the lines that are shown: the browser paints them, and no line is changed for it.
(() => {
  const log = window.runbookweb?.log;
  if (!log) return;

  const { panel } = log;
  // A browser that cannot paint them still marks the line of the current one.
  const [all, current] = window.Highlight ? [new Highlight(), new Highlight()] : [new Set(), new Set()];
  current.priority = 1;
  CSS.highlights?.set("log-hit", all);
  CSS.highlights?.set("log-current", current);
  let found = { query: "", lines: [] };
  let row = null;
  let waiting = [];
  let isPlanned = false;

  const idle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 8 }), 16));

  function texts(row) {
    const isSaid = (node) => node.parentElement.matches(".visually-hidden");
    const walker = document.createTreeWalker(row.querySelector(".log__text"), NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) if (!isSaid(walker.currentNode)) nodes.push(walker.currentNode);
    return nodes;
  }

  // Where in the text nodes a position of the whole text is.
  function place(nodes, position, isEnd) {
    for (const node of nodes) {
      if (position < node.length || (isEnd && position === node.length)) return [node, position];
      position -= node.length;
    }
  }

  function ranges(row) {
    const nodes = texts(row);
    const text = nodes.map((node) => node.data).join("");
    const [lower, query] = [text.toLowerCase(), found.query.toLowerCase()];
    const marked = [];
    // Where small letters are more letters than capitals, positions would be wrong: the line alone is marked.
    if (lower.length !== text.length) return marked;
    for (let at = lower.indexOf(query); at >= 0 && marked.length < 100; at = lower.indexOf(query, at + query.length)) {
      const [[startContainer, startOffset], [endContainer, endOffset]] = [place(nodes, at), place(nodes, at + query.length, true)];
      marked.push(new StaticRange({ startContainer, startOffset, endContainer, endOffset }));
    }
    return marked;
  }

  function work(deadline) {
    while (waiting.length && deadline.timeRemaining() > 1) {
      for (const row of log.rows(waiting.shift())) {
        if (found.isHit(log.number(row))) for (const range of ranges(row)) all.add(range);
      }
    }
    isPlanned = waiting.length > 0;
    if (isPlanned) idle(work);
  }

  function plan(parts) {
    if (!found.query) return;
    waiting.push(...parts);
    if (!isPlanned) idle(work);
    isPlanned = true;
  }

  function showCurrent() {
    row?.classList.remove("log__line--current");
    current.clear();
    row = found.current ? log.row(found.current) : null;
    row?.classList.add("log__line--current");
    if (row && found.query) for (const range of ranges(row)) current.add(range);
  }

  panel.addEventListener("log:found", ({ detail }) => {
    const isSame = detail.query === found.query && detail.lines === found.lines;
    const hits = isSame ? null : new Set(detail.lines);
    const isHit = hits ? (number) => hits.has(number) : found.isHit;
    found = { ...detail, isHit };
    if (hits) {
      all.clear();
      waiting = [];
      plan(log.chunks);
    }
    showCurrent();
  });
  panel.addEventListener("log:lines", ({ detail }) => {
    plan(detail.parts);
    if (found.current && !row?.isConnected) showCurrent();
  });
})();
