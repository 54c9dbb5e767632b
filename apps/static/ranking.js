// The ranking desk: shows one comparison blind, turns keys and clicks into groups of cards, saves, shows the next.
// Everything a model wrote enters the page through textContent only.
const root = element.querySelector(".wb");
const letters = "ABCDEFGH";
const store = { get: (k) => { try { return localStorage.getItem(k) } catch { return null } }, set: (k, v) => { try { localStorage.setItem(k, v) } catch { /* private window: the name is asked again */ } } };
let state = null, picks = [], tieNext = false, busy = false, began = Date.now(), drawer = false;

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((c) => c != null && c !== false));
  return node;
}
const name = () => (store.get("wb-annotator") || "me");
const cards = () => (state && state.item ? state.item.cards.length : 0);
const isPair = () => cards() === 2;
const rankOf = (card) => picks.findIndex((group) => group.includes(card));
const picked = () => picks.flat().length;

// --- talking with the lab

async function ask(call, question) {
  if (busy) return;
  busy = true;
  try {
    const answer = await call({ ...question, annotator: name() });
    if (answer.error) say(answer.error, true);
    else take(answer);
  } catch { say("The app does not answer. Nothing was lost; it is tried again.", true) }
  finally { busy = false }
}
function take(answer) {
  const before = state && state.item ? state.item.id : 0;
  state = answer;
  if (answer.last || answer.note) forget();
  if (!state.item || state.item.id !== before) { restore(); began = Date.now() }
  draw();
  if (answer.last || answer.note) document.dispatchEvent(new Event("wb-judged"));
  if (answer.note) say(answer.note, true);
  else if (answer.last) say(`Saved: ${answer.last}. Z takes it back.`);
}
const seconds = () => (Date.now() - began) / 1000;
function save(groups) {
  ask(server.rank_save, { id: state.item.id, choice: "ranking", groups, seconds: seconds() });
}
function decide(choice) { if (state.item) ask(server.rank_save, { id: state.item.id, choice, seconds: seconds() }) }
function undo() { ask(server.rank_undo, {}).then(() => document.dispatchEvent(new Event("wb-judged"))) }
function refresh() { return ask(server.rank_next, { id: state && state.item ? state.item.id : 0 }) }

// A half-made ranking survives a reload: it is kept in this browser tab until it is saved.
function keep() { try { sessionStorage.setItem("wb-picks", JSON.stringify({ id: state.item.id, picks })) } catch { /* not vital */ } }
function forget() { try { sessionStorage.removeItem("wb-picks") } catch { /* not vital */ } }
function restore() {
  picks = []; tieNext = false;
  try {
    const kept = JSON.parse(sessionStorage.getItem("wb-picks") || "{}");
    if (state.item && kept.id === state.item.id) picks = kept.picks.filter((g) => Array.isArray(g) && g.every((c) => c < cards()));
  } catch { /* nothing kept */ }
}

// --- ranking

function pick(card) {
  if (!state || !state.item || busy || card >= cards()) return;
  if (isPair()) return save([[card], [1 - card]]);
  if (rankOf(card) >= 0) return say(`${letters[card]} has its place already. Backspace takes the last pick back.`);
  if (tieNext && picks.length) picks[picks.length - 1].push(card);
  else picks.push([card]);
  tieNext = false;
  changed();
}
function back() {
  if (tieNext) tieNext = false;
  else if (picks.length) { picks[picks.length - 1].pop(); if (!picks[picks.length - 1].length) picks.pop() }
  changed();
}
function tie() {
  if (isPair()) return save([[0, 1]]);
  if (!picks.length) return say("Pick the best card first; T then lets the next one share its place.");
  tieNext = !tieNext;
  changed();
}
function enter() {
  if (!state || !state.item) return;
  if (!picks.length) return say(isPair() ? "Press 1, 2 or 0." : "Pick at least the best card, then press Enter.");
  save(picks);
}
function changed() { keep(); draw() }
function reading() {
  if (isPair()) return "Which reply is better? One press is a vote; Z takes it back.";
  if (!picks.length) return "Which reply is best? Press its number, then the next best, and so on.";
  const order = picks.map((g) => g.map((c) => letters[c]).join(" = ")).join("  >  ");
  const rest = [...Array(cards()).keys()].filter((c) => rankOf(c) < 0).map((c) => letters[c]);
  if (tieNext) return `${order}  =  ?  The next card shares this place.`;
  if (!rest.length) return `${order}. Complete: Enter saves.`;
  if (picks.length === 1) return `${order} is best. Enter saves it, with ${rest.join(", ")} tied below; or go on ranking.`;
  return `${order}. Enter saves this part; ${rest.join(", ")} would stay unranked.`;
}

// --- drawing

const percent = (x) => `${Math.round(100 * x)}%`;
function say(text, isTrouble) {
  const line = root.querySelector(".rk-say");
  if (line) { line.textContent = text; line.classList.toggle("rk-trouble", !!isTrouble) }
}
function bar() {
  const total = state.done + state.to_do;
  const box = el("input", { "aria-label": "Your name", value: name(), maxlength: 60, class: "rk-name", title: "Stored with every judgement",
    onchange: (e) => { store.set("wb-annotator", e.target.value.trim() || "me"); e.target.blur() }, onkeydown: (e) => { if (e.key === "Enter") e.target.blur() } });
  return el("div", { class: "rk-bar" },
    el("span", {}, el("b", { "data-testid": "rank-done" }, String(state.done)), " ranked"),
    el("span", {}, el("b", { "data-testid": "rank-todo" }, String(state.to_do)), " to go"),
    el("span", { class: "rk-track", role: "progressbar", "aria-label": "ranked so far", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": state.done }, el("i", { style: `width:${total ? (100 * state.done) / total : 0}%` })),
    state.aside > 0 && el("span", { title: "skipped, or all bad: these train nothing" }, el("b", {}, String(state.aside)), " set aside"),
    state.pace != null && el("span", { title: "median time of a judgement" }, "pace ", el("b", {}, `${state.pace < 10 ? state.pace.toFixed(1) : Math.round(state.pace)} s`)),
    state.first != null && el("span", { title: "How often card A was ranked best. The order is drawn by lot, so far from chance means that the place, not the text, decides." },
      "card A best ", el("b", {}, percent(state.first)), ` (chance ${percent(state.chance)})`),
    el("label", { class: "rk-who" }, "judge ", box),
    state.rubric.text && el("button", { class: "rk-key", "aria-expanded": String(drawer), onclick: () => { drawer = !drawer; draw() } }, el("kbd", {}, "?"), " Rubric"));
}
function rubric() {
  const box = el("aside", { class: "rk-rubric", "aria-label": "Rubric" });
  for (const line of state.rubric.text.split("\n")) {
    if (line.startsWith("#")) box.append(el("h4", {}, line.replace(/^#+\s*/, "")));
    else if (!line.trim()) box.append(el("p", {}));
    else (box.lastElementChild && box.lastElementChild.tagName === "P" ? box.lastElementChild : box.appendChild(el("p", {}))).append(
      (/^\s*(-|\d+\.)\s/.test(line) && box.lastElementChild.textContent ? "\n" : box.lastElementChild.textContent ? " " : "") + line.trim().replaceAll("**", ""));
  }
  return box;
}
function prompt() {
  const box = el("div", { class: "rk-prompt", "data-testid": "rank-prompt", role: "group", "aria-label": "Prompt" });
  for (const turn of state.item.prompt) {
    if (turn.role === "system") box.append(el("details", {}, el("summary", {}, "What the assistant was told (system message)"), el("p", {}, turn.content)));
    else box.append(el("div", { class: `rk-turn rk-${turn.role === "user" ? "user" : "other"}` }, el("small", {}, turn.role === "user" ? "Person" : "Assistant"), el("p", {}, turn.content)));
  }
  return box;
}
function card(text, place) {
  const rank = rankOf(place);
  const shares = rank >= 0 && picks[rank].length > 1;
  const said = rank < 0 ? "not ranked" : `rank ${rank + 1}${shares ? ", shared" : ""}`;
  return el("div", { class: `rk-card${rank >= 0 ? " rk-ranked" : ""}`, role: "button", tabindex: 0, "data-testid": `card-${place}`, "aria-pressed": String(rank >= 0),
    "aria-label": `Reply ${letters[place]}, key ${place + 1}, ${said}: ${text}`,
    onclick: () => { if (!String(getSelection())) { pick(place); if (document.activeElement) document.activeElement.blur() } },
    onkeydown: (e) => { if (e.key === " ") { e.preventDefault(); e.stopPropagation(); pick(place) } } },
    el("header", {}, el("b", {}, letters[place]), el("kbd", {}, String(place + 1)), el("span", { class: "rk-rank" }, rank < 0 ? "" : `${shares ? "= " : ""}${rank + 1}`)),
    el("p", {}, text || "(an empty reply)"));
}
function key(label, text, act, enabled = true, main = false) {
  return el("button", { class: `rk-key${main ? " rk-main" : ""}`, disabled: !enabled, onclick: (e) => { act(); if (e.detail) e.target.closest("button").blur() } }, el("kbd", {}, label), ` ${text}`);
}
function keys() {
  const row = el("div", { class: "rk-keys", role: "toolbar", "aria-label": "Judge" });
  if (isPair()) row.append(key("1", "A better", () => pick(0)), key("2", "B better", () => pick(1)), key("0", "Tie", tie));
  else row.append(key("Enter", "Save", enter, picked() > 0, true), key("T", "Tie with next", tie, picked() > 0 && picked() < cards()), key("⌫", "Take back", back, picked() > 0));
  row.append(key("X", "All bad", () => decide("bad")), key("S", "Skip", () => decide("skip")), key("Z", "Undo last", undo));
  return row;
}
function empty() {
  const box = el("div", { class: "rk-empty", "data-testid": "rank-empty" });
  box.append(el("h3", {}, state.done ? "Everything is ranked" : "Nothing to rank yet"));
  for (const run of state.writing) box.append(el("p", { role: "status" }, `${run.id} is ${run.state === "queued" ? "waiting for its turn" : "writing replies"}${run.total ? `: ${run.step} of ${run.total}` : ""}. Its replies appear here by themselves.`));
  if (!state.writing.length) box.append(
    el("p", {}, state.done ? "The reward model can learn from these rankings: go to the Reward tab. More rankings make it better; ask for more replies below."
      : "A reward model learns what people prefer from rankings. For each prompt you see a few replies, without knowing who wrote them, and put them in order."),
    state.done ? "" : el("ol", {}, el("li", {}, "Train an SFT adapter (SFT tab), or take the base model as it is."), el("li", {}, "Below, let it write a few replies to each prompt."), el("li", {}, "Rank them here: press 1 to 4 in order, then Enter. About 10 seconds each.")));
  if (state.done || state.aside) box.append(key("Z", "Undo last", undo));
  return box;
}
function draw() {
  if (document.activeElement && document.activeElement.classList.contains("rk-name") && root.contains(document.activeElement)) return; // someone is typing a name
  const focus = document.activeElement && root.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
  const parts = [bar()];
  if (drawer) parts.push(rubric());
  if (state.item) parts.push(prompt(), el("div", { class: `rk-cards rk-k${cards()}` }, ...state.item.cards.map(card)),
    el("p", { class: "rk-reading", role: "status", "aria-live": "polite" }, reading()), keys());
  else parts.push(empty());
  parts.push(el("p", { class: "rk-say", role: "status", "aria-live": "polite" }));
  root.replaceChildren(...parts);
  if (focus) { const again = root.querySelector(`[data-testid="${focus}"]`); if (again) again.focus() }
}

// --- keys: only while this tab is in view and nobody types

function onKey(e) {
  if (!element.isConnected) return document.removeEventListener("keydown", onKey);
  if (!state || !root.offsetParent || e.ctrlKey || e.metaKey || e.altKey || e.repeat) return;
  if (e.target.closest && e.target.closest("input, textarea, select, [contenteditable=true], [role=listbox], [role=tab]")) return;
  if (e.target.closest && e.target.closest("button, summary, a") && (e.key === "Enter" || e.key === " ")) return;
  const act = { Enter: enter, t: tie, "=": tie, Backspace: back, x: () => decide("bad"), 9: () => decide("bad"), s: () => decide("skip"), z: undo,
    "?": () => { drawer = !drawer; draw() }, 0: () => isPair() && tie() }[e.key.length === 1 ? e.key.toLowerCase() : e.key];
  if (act) { e.preventDefault(); act() }
  else if (e.key >= "1" && e.key <= String(Math.max(1, cards()))) { e.preventDefault(); pick(Number(e.key) - 1) }
}
document.addEventListener("keydown", onKey);
function onBack(e) {
  if (!element.isConnected) return document.removeEventListener("wb-bring-back", onBack);
  if (e.detail) ask(server.rank_next, { id: e.detail }).then(() => root.scrollIntoView({ block: "start", behavior: "smooth" })); else refresh();
}
document.addEventListener("wb-bring-back", onBack);

// An empty desk looks for new work; a full one asks only when the person acts.
async function tick() {
  if (!element.isConnected) return;
  if (root.offsetParent && !document.hidden && (!state || !state.item)) await refresh();
  setTimeout(tick, document.hidden ? 5000 : 1500);
}
refresh().then(tick);
