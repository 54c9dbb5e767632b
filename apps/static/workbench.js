// What every panel uses: DOM by textContent only, numbers, polling, and the address. Never innerHTML: models write the data.
window.wb = (() => {
  const LIVE = ["queued", "running", "pausing", "stopping"];

  function el(tag, className, text, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined && text !== null) made.textContent = String(text);
    made.append(...children.filter(Boolean));
    return made;
  }

  function button(text, className, action) {
    const made = el("button", "wb-button " + (className || ""), text);
    made.type = "button";
    made.addEventListener("click", action);
    return made;
  }

  // Setting only what changed keeps focus, selection and screen readers undisturbed between two polls.
  function put(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function number(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && size < 0.001) return value.toExponential(1);
    if (size !== 0 && size < 0.1) return String(Number(value.toPrecision(2)));
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return value.toLocaleString("en", size >= 100 ? { maximumFractionDigits: 0 } : { minimumFractionDigits: size >= 10 ? 1 : 2, maximumFractionDigits: size >= 10 ? 1 : 2 });
  }

  function clock(seconds) {
    if (seconds === null || seconds === undefined) return "";
    const whole = Math.round(seconds), h = Math.floor(whole / 3600), m = Math.floor((whole % 3600) / 60), s = whole % 60;
    const two = (n) => String(n).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  }

  function tip(help, healthy) {
    const bubble = el("span", "wb-bubble", null, el("span", "", help), healthy && el("span", "wb-healthy", "Good: " + healthy));
    bubble.setAttribute("role", "tooltip");
    const mark = el("button", "wb-tip", "?", bubble);
    mark.type = "button";
    mark.setAttribute("aria-label", "What is this? " + help + (healthy ? " Good: " + healthy : ""));
    // A bubble near the right edge would widen the page: it opens towards the middle instead.
    mark.addEventListener("pointerenter", () => mark.classList.toggle("wb-left", mark.getBoundingClientRect().left > innerWidth - 300));
    return mark;
  }

  function shows(element) {
    return element.offsetParent !== null && element.getBoundingClientRect().width > 0;
  }

  // Calls `look` while the panel is on the page; it answers the milliseconds until the next look. A hidden panel asks nothing.
  function poll(element, look) {
    let timer = 0, busy = false, again = false;
    async function tick() {
      clearTimeout(timer);
      if (busy) again = true;
      if (!element.isConnected || busy) return;
      busy = true;
      again = false;
      let wait = 500;
      try {
        if (!document.hidden && shows(element)) wait = (await look()) || 1000;
      } catch (fault) {
        wait = 3000;
      }
      busy = false;
      timer = setTimeout(tick, again ? 0 : wait);
    }
    tick();
    return tick;
  }

  // One job after another, each in a task of its own: a page that draws eight charts at once would stand still.
  const jobs = [];
  function later(job) {
    if (jobs.push(job) === 1) setTimeout(next);
  }
  function next() {
    try {
      jobs[0]();
    } finally {
      jobs.shift();
      if (jobs.length) setTimeout(next);
    }
  }

  function address(changes) {
    const url = new URL(location);
    for (const [key, value] of Object.entries(changes)) value ? url.searchParams.set(key, value) : url.searchParams.delete(key);
    history.replaceState(null, "", url);
  }

  const SELECTED = "#selected-run textarea, #selected-run input";
  const asked = (key) => new URL(location).searchParams.get(key) || "";

  // A tab's button; where the window is narrow Gradio keeps the last tabs in a menu, whose buttons have a text and no name.
  function handleOf(tab) {
    return document.getElementById(`tab-${tab}-button`) || [...document.querySelectorAll("#tabs .overflow-dropdown button")].find((one) => one.textContent.trim().toLowerCase() === tab);
  }

  // Gradio opens the first tab; the one of the address follows as soon as it is there, unless a person was quicker.
  const begun = asked("tab");
  let isSettled = !begun;
  for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, () => (isSettled = true), { capture: true, once: true });
  function begin(tries) {
    const handle = handleOf(begun) || handleOf("overview");
    if (!handle || !document.querySelector(SELECTED)) return tries < 600 && setTimeout(begin, 50, tries + 1);
    if (asked("run")) select(asked("run"));
    if (!isSettled) handle.click();
  }
  setTimeout(begin, 0, 0);
  const noteTab = (name) => {
    isSettled ||= name === begun;
    if (isSettled) address({ tab: name });
  };

  function noteRun(run) {
    if (run) address({ run });
    document.dispatchEvent(new CustomEvent("wb-run", { detail: run }));
  }

  // The hidden textbox carries the choice to Python; the event carries it to the panels.
  function select(run) {
    const box = document.querySelector(SELECTED);
    if (box && box.value !== run) {
      box.value = run;
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }
    noteRun(run);
  }

  function open(tab, run) {
    const handle = handleOf(tab);
    if (handle) handle.click();
    if (run) select(run);
  }

  function link(text, tab, run) {
    return button(text, "wb-link", () => open(tab, run));
  }

  // Opens the Runs tab with these runs laid over each other.
  function compare(runs) {
    wb.compared = runs; // a tab that was never open hears no event
    open("runs", runs[0]);
    document.dispatchEvent(new CustomEvent("wb-compare", { detail: runs }));
  }

  function state(name) {
    const made = el("span", "wb-state", name);
    made.dataset.state = name;
    return made;
  }

  function table(heads, rows) {
    const head = el("tr");
    for (const each of heads) head.append(el("th", "", each));
    const body = el("tbody");
    for (const row of rows) {
      const line = el("tr");
      for (const cell of row) {
        const box = el("td");
        cell instanceof Node ? box.append(cell) : (box.textContent = cell ?? "");
        line.append(box);
      }
      body.append(line);
    }
    return el("table", "wb-table", null, el("thead", "", null, head), body);
  }

  // A held-out comparison: its verdict in words, then its figures.
  function result(found) {
    return el("div", "wb-result", null, el("p", "wb-verdict", found.verdict), table(found.heads, found.rows), el("p", "wb-faint", found.judge));
  }

  // A second press within four seconds does it: nothing is lost by one slip.
  function sure(text, question, action) {
    let armed = 0;
    const made = button(text, "", () => {
      if (armed) return (clearTimeout(armed), (armed = 0), put(made, text), made.classList.remove("wb-bad"), action());
      put(made, question);
      made.classList.add("wb-bad");
      armed = setTimeout(() => ((armed = 0), put(made, text), made.classList.remove("wb-bad")), 4000);
    });
    return made;
  }

  // Gradio's runtime can stumble while it puts a page together (sveltejs/svelte#18799) and leave parts of it out for good.
  // A page that met a fault and has no run bar five seconds later is loaded again: twice at most, so it never loops.
  const stands = () => document.querySelector("#run-bar .wb-line") !== null;
  let isWatching = false;
  function heal() {
    if (stands() || isWatching) return;
    isWatching = true;
    setTimeout(() => {
      const tries = Number(sessionStorage.getItem("wb-heal") || 0);
      isWatching = false;
      if (stands() || tries >= 2) return;
      sessionStorage.setItem("wb-heal", tries + 1);
      console.warn("The page came up with parts missing; it is loaded again.");
      location.reload();
    }, 5000);
  }
  for (const event of ["error", "unhandledrejection"]) addEventListener(event, heal);
  setTimeout(() => stands() && sessionStorage.removeItem("wb-heal"), 15000);

  return { LIVE, el, button, put, number, clock, tip, shows, poll, later, asked, noteTab, noteRun, select, open, link, compare, state, table, result, sure };
})();
