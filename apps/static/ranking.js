// The ranking desk: shows one comparison blind, turns keys, clicks and drags into a judgement, saves it, shows the next.
// Everything a model wrote enters the page through textContent only.
const root = element.querySelector(".wb"), { order, draft, letters, judge, taste } = wb;
const STRENGTHS = ["unsaid", "slightly", "clearly", "much"], TAG_KEYS = "fghjkl";
let state = null, busy = false, began = Date.now(), drawer = false, dragged = -1;
let made = {}; // the judgement in the making
const fresh = () => ({ groups: [], ratings: Array(cards()).fill(0), now: 0, isTie: false, strength: 0, tags: [], comment: "", better: "", isWriting: false, isNoting: false });

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((c) => c != null && c !== false && c !== ""));
  return node;
}
const cards = () => (state && state.item ? state.item.cards.length : 0);
const rates = () => taste.get("wb-mode") === "rate";
const isPair = () => cards() === 2 && !rates();
const groups = () => (rates() ? order.ofRatings(made.ratings) : made.groups);
const left = () => [...Array(cards()).keys()].filter((card) => order.rank(groups(), card) < 0);

// --- talking with the lab

let answered = Promise.resolve(); // when the last question was
function ask(call, question) {
  if (!busy) answered = talk(call, question);
  return answered;
}
async function talk(call, question) {
  busy = true;
  try {
    const answer = await call({ ...question, ...judge() });
    if (answer.error) say(answer.error, true);
    else take(answer);
  } catch { say("The app does not answer. Nothing was lost; try again in a moment.", true) }
  finally { busy = false }
}
function take(answer) {
  const before = state && state.item ? state.item.id : 0;
  state = answer;
  if (answer.last || answer.note) draft.drop();
  if (!state.item || state.item.id !== before || answer.last || answer.note) {
    made = { ...fresh(), ...(state.item ? draft.load(state.item.id) : {}) };
    began = Date.now();
  }
  draw();
  if (answer.last || answer.note) document.dispatchEvent(new Event("wb-judged"));
  if (answer.note) say(answer.note, true);
  else if (answer.last) say(`Saved: ${answer.last}. Z takes it back.`);
}
function send(choice, found = {}) {
  if (!state || !state.item) return;
  const { strength, tags, comment, better } = made;
  ask(server.rank_save, { id: state.item.id, shown: state.item.shown, choice, seconds: (Date.now() - began) / 1000, strength, tags, comment, better, ...found });
}
function undo() { ask(server.rank_undo, {}).then(() => document.dispatchEvent(new Event("wb-judged"))) }
function refresh(id) { return busy ? answered.then(() => refresh(id)) : ask(server.rank_next, { id: id || (state && state.item ? state.item.id : 0) }) }

// Somebody else sits down: what lies on the desk is not theirs, and no key may judge it in their name.
function rename(name) {
  taste.set("wb-annotator", name.trim() || "me");
  state = null;
  root.replaceChildren(el("p", { class: "rk-say", role: "status" }, "Looking for your next item …"));
  refresh();
}

// --- judging

const changed = () => { if (state.item) draft.save({ id: state.item.id, ...made }); draw() };
function set(values) { Object.assign(made, values); changed() }
function pick(card) {
  if (!state || !state.item || busy || card >= cards()) return;
  if (isPair()) return made.better ? set({ groups: [[card], [1 - card]] }) : send("ranking", { groups: [[card], [1 - card]] });
  if (order.rank(made.groups, card) >= 0) return say(`${letters[card]} has its place already. Backspace takes the last pick back.`);
  set({ groups: order.add(made.groups, card, made.isTie), isTie: false });
}
function rate(level) { rateCard(made.now, level); }
function rateCard(card, level) {
  const ratings = made.ratings.map((each, at) => (at === card ? level : each)), next = ratings.findIndex((each, at) => !each && at > card);
  set({ ratings, now: next >= 0 ? next : Math.min(card + 1, cards() - 1) });
}
function step(by) { set({ now: Math.max(0, Math.min(cards() - 1, made.now + by)) }) }
function back() {
  if (!rates()) return set(made.isTie ? { isTie: false } : { groups: order.back(made.groups) });
  const last = made.ratings[made.now] ? made.now : made.ratings.findLastIndex((each, at) => each && at < made.now);
  if (last >= 0) set({ ratings: made.ratings.map((each, at) => (at === last ? 0 : each)), now: last });
}
function tie() {
  if (rates()) return say("Equal marks are a tie.");
  if (isPair()) return made.better ? set({ groups: [[0, 1]] }) : send("ranking", { groups: [[0, 1]] });
  if (!made.groups.length) return say("Pick the best card first; T then lets the next one share its place.");
  set({ isTie: !made.isTie });
}
function enter() {
  if (!state || !state.item) return;
  if (rates() && (made.better || made.ratings.filter(Boolean).length > 1)) return send("ranking", { ratings: made.ratings });
  if (!rates() && (made.better || made.groups.length)) return send("ranking", { groups: made.groups });
  say(rates() ? "Rate two replies at least, 1 to 5; equal marks are a tie." : isPair() ? "Press 1, 2 or 0." : "Pick at least the best card, then press Enter.");
}
function mode() { taste.set("wb-mode", rates() ? "rank" : "rate"); draw() }
function toggle(tag) { set({ tags: made.tags.includes(tag) ? made.tags.filter((each) => each !== tag) : [...made.tags, tag] }) }
function write() { set({ isWriting: !made.isWriting }); const box = root.querySelector(".rk-write textarea"); if (box) box.focus() }
function note() { set({ isNoting: !made.isNoting }); const box = root.querySelector(".rk-note"); if (box) box.focus() }
function reading() {
  const found = groups(), said = (made.better ? `yours${found.length ? "  >  " : ""}` : "") + order.said(found), rest = left().map((card) => letters[card]).join(", ");
  if (rates()) return found.length ? `${said}. ${rest ? `${rest} not rated yet.` : "Complete: Enter saves."}` : `Reply ${letters[made.now]}: how good is it? 1 is poor, 5 is excellent.`;
  if (!found.length) return made.better ? "Yours stands above all others. Rank those too if you like; Enter saves." : isPair() ? "Which reply is better? One press is a vote; Z takes it back." : "Which reply is best? Press its number, then the next best, and so on; or drag.";
  if (made.isTie) return `${said}  =  ?  The next card shares this place.`;
  if (!rest) return `${said}. ${isPair() ? "" : "Complete: "}Enter saves.`;
  return found.length === 1 ? `${said} is best. Enter saves it, with ${rest} tied below; or go on ranking.` : `${said}. Enter saves this part; ${rest} would stay unranked.`;
}

// --- drawing

const percent = (x) => `${Math.round(100 * x)}%`;
function say(text, isTrouble) {
  const line = root.querySelector(".rk-say");
  if (line) { line.textContent = text; line.classList.toggle("rk-trouble", !!isTrouble) }
}
function key(label, text, act, { enabled = true, main = false, on = false, title = null } = {}) {
  return el("button", { class: `rk-key${main ? " rk-main" : ""}${on ? " rk-on" : ""}`, type: "button", disabled: !enabled, title, "aria-pressed": on ? "true" : null,
    onclick: (e) => { act(); if (e.detail) e.target.closest("button").blur() } }, el("kbd", {}, label), text && ` ${text}`);
}
function figure(title, ...parts) { return el("span", { title }, ...parts.map((part, at) => (at % 2 ? el("b", {}, String(part)) : part))) }
function bar() {
  const total = state.done + state.to_do;
  const box = el("input", { "aria-label": "Your name", value: judge().annotator, maxlength: 60, class: "rk-name", title: "Stored with every judgement; one name per person",
    onchange: (e) => rename(e.target.value), onkeydown: (e) => { if (e.key === "Enter") e.target.blur() } });
  return el("div", { class: "rk-bar" },
    el("span", {}, el("b", { "data-testid": "rank-done" }, String(state.done)), " ranked"),
    el("span", {}, el("b", { "data-testid": "rank-todo" }, String(state.to_do)), " to go"),
    el("span", { class: "rk-track", role: "progressbar", "aria-label": "ranked so far", "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": state.done }, el("i", { style: `width:${total ? (100 * state.done) / total : 0}%` })),
    state.aside > 0 && figure("skipped, or all bad: these train nothing", "", state.aside, " set aside"),
    state.pace != null && figure("median time of your judgements", "pace ", `${state.pace < 10 ? state.pace.toFixed(1) : Math.round(state.pace)} s`),
    state.first != null && figure("How often you ranked card A best. The order is drawn by lot, so far from chance means that the place, not the text, decides.",
      "card A best ", percent(state.first), ` (chance ${percent(state.chance)})`),
    state.itself != null && figure(`Of ${state.repeats} you met twice, sides swapped: how often you gave two replies the same verdict.`, "you agree with yourself ", percent(state.itself)),
    el("label", { class: "rk-who" }, "judge ", box),
    key("M", rates() ? "Rank instead" : "Rate instead", mode, { title: "Put replies in order, or mark each from 1 to 5" }),
    state.rubric.text && key("?", "Rubric", () => { drawer = !drawer; draw() }, { on: drawer }));
}
function rubric() {
  const box = el("aside", { class: "rk-rubric", "aria-label": "Rubric" }, el("small", {}, `${state.rubric.version}, stored with every judgement`));
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
function marks(place) {
  const row = el("span", { class: "rk-marks", role: "group", "aria-label": `Mark of reply ${letters[place]}` });
  for (let level = 1; level <= 5; level++) {
    row.append(el("button", { type: "button", "aria-label": `${level} of 5`, "aria-pressed": String(made.ratings[place] === level), onclick: (e) => { e.stopPropagation(); rateCard(place, level); if (e.detail) document.activeElement.blur() } }, String(level)));
  }
  return row;
}
function card(text, place) {
  const rank = order.rank(groups(), place), shares = rank >= 0 && groups()[rank].length > 1, isNow = rates() && made.now === place;
  const said = rates() ? (made.ratings[place] ? `${made.ratings[place]} of 5` : "not rated") : rank < 0 ? "not ranked" : `rank ${rank + 1}${shares ? ", shared" : ""}`;
  const act = () => (rates() ? set({ now: place }) : pick(place));
  return el("div", { class: `rk-card${rank >= 0 ? " rk-ranked" : ""}${isNow ? " rk-now" : ""}`, role: "button", tabindex: 0, "data-testid": `card-${place}`, "aria-pressed": String(rank >= 0), draggable: !isPair() && !rates() ? "true" : null,
    "aria-label": `Reply ${letters[place]}, ${rates() ? "" : `key ${place + 1}, `}${said}: ${text}`,
    ondragstart: (e) => { dragged = place; e.dataTransfer.setData("text/plain", letters[place]); e.dataTransfer.effectAllowed = "move" }, ondragend: () => (dragged = -1),
    onclick: () => { if (!String(getSelection())) { act(); if (document.activeElement) document.activeElement.blur() } },
    onkeydown: (e) => { if (e.key === " " && e.target === e.currentTarget) { e.preventDefault(); e.stopPropagation(); act() } } },
    el("header", {}, el("b", {}, letters[place]), !rates() && el("kbd", {}, String(place + 1)), rates() ? marks(place) : el("span", { class: "rk-rank" }, rank < 0 ? "" : `${shares ? "= " : ""}${rank + 1}`)),
    el("p", {}, text || "(an empty reply)"));
}
// Where dragged cards land: between two places for a rank of their own, onto a place to share it.
function rail() {
  const land = (at, isTie) => ({
    ondragover: (e) => { if (dragged >= 0) { e.preventDefault(); e.currentTarget.classList.add("rk-over") } }, ondragleave: (e) => e.currentTarget.classList.remove("rk-over"),
    ondrop: (e) => { e.preventDefault(); if (dragged >= 0) set({ groups: order.place(made.groups, dragged, at, isTie), isTie: false }); dragged = -1 } });
  const row = el("div", { class: "rk-rail", "data-testid": "rank-rail", "aria-hidden": "true" }, el("small", {}, "best"));
  made.groups.forEach((group, at) => row.append(el("span", { class: "rk-gap", "data-testid": `gap-${at}`, ...land(at, false) }),
    el("span", { class: "rk-place", "data-testid": `place-${at}`, ...land(at, true) }, ...group.map((each) => el("span", { class: "rk-chosen", draggable: "true", title: "Drag it elsewhere; click to take it out",
      ondragstart: (e) => { dragged = each; e.dataTransfer.setData("text/plain", letters[each]) }, ondragend: () => (dragged = -1), onclick: () => set({ groups: order.without(made.groups, each) }) }, letters[each])))));
  row.append(el("span", { class: "rk-gap rk-end", "data-testid": `gap-${made.groups.length}`, ...land(made.groups.length, false) }, left().length ? "drag replies here, or press their numbers" : ""), el("small", {}, "worst"));
  return row;
}
function notes() {
  const row = el("div", { class: "rk-notes", role: "group", "aria-label": "Optional: how much better, and why" });
  row.append(key("V", `${made.strength ? STRENGTHS[made.strength] : "how much"} better`, () => set({ strength: (made.strength + 1) % 4 }), { on: made.strength > 0, title: "Press again: slightly, clearly, much, unsaid. It becomes the reward model's margin." }));
  state.tags.forEach((tag, at) => row.append(key(TAG_KEYS[at].toUpperCase(), tag, () => toggle(tag), { on: made.tags.includes(tag) })));
  row.append(key("C", made.comment ? "comment ✓" : "comment", note, { on: made.isNoting }));
  if (made.isNoting) row.append(el("input", { class: "rk-note", "aria-label": "Comment", maxlength: 2000, value: made.comment, placeholder: "Why? Enter keeps it.", oninput: (e) => { made.comment = e.target.value; draft.save({ id: state.item.id, ...made }) },
    onkeydown: (e) => { if (e.key === "Enter" || e.key === "Escape") set({ isNoting: false }) } }));
  return row;
}
function writing() {
  const box = el("textarea", { rows: 4, maxlength: 20000, "aria-label": "Your better reply", placeholder: "Write the reply that you would have wanted." });
  box.value = made.better;
  const close = (keeps) => set({ better: keeps ? box.value.trim() : "", isWriting: false });
  box.addEventListener("input", () => { made.better = box.value; draft.save({ id: state.item.id, ...made }) });
  box.addEventListener("keydown", (e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); close(true); enter() } if (e.key === "Escape") close(true) });
  const begin = state.item.cards.map((text, place) => el("button", { class: "rk-key", type: "button", onclick: () => { box.value = made.better = text; box.focus() } }, `from ${letters[place]}`));
  return el("div", { class: "rk-write" }, el("p", {}, "It is stored as better than all replies shown, and as a demonstration for the next SFT run."), box,
    el("div", { class: "rk-keys" }, key("Ctrl Enter", "Save it", () => { close(true); enter() }, { main: true }), key("Esc", "Rank the others first", () => close(true)), key("", "Drop it", () => close(false)), ...begin));
}
function keys() {
  const row = el("div", { class: "rk-keys", role: "toolbar", "aria-label": "Judge" });
  if (isPair() && !made.better) row.append(key("1", "A better", () => pick(0)), key("2", "B better", () => pick(1)), key("0", "Tie", tie));
  else {
    row.append(key("Enter", "Save", enter, { enabled: !!made.better || (rates() ? made.ratings.filter(Boolean).length > 1 : made.groups.length > 0), main: true }));
    if (!rates()) row.append(key("T", "Tie with next", tie, { enabled: made.groups.length > 0 && left().length > 0 }));
    row.append(key("⌫", "Take back", back, { enabled: groups().length > 0 }));
  }
  row.append(key("X", "All bad", () => send("bad")), key("E", made.better ? "Your reply ✓" : "Write a better reply", write, { on: made.isWriting }), key("S", "Skip", () => send("skip")), key("Z", "Undo last", undo));
  return row;
}
function empty() {
  const box = el("div", { class: "rk-empty", "data-testid": "rank-empty" });
  box.append(el("h3", {}, state.elsewhere ? "The rest is in other hands" : state.done ? "Everything is ranked" : "Nothing to rank yet"));
  if (state.elsewhere) box.append(el("p", { role: "status" }, `Others are reading the last ${state.elsewhere} to go. What they leave comes here by itself.`));
  for (const run of state.writing) box.append(el("p", { role: "status" }, `${run.id} is ${run.state === "queued" ? "waiting for its turn" : "writing replies"}${run.total ? `: ${run.step} of ${run.total}` : ""}. Its replies appear here by themselves.`));
  if (!state.writing.length && !state.elsewhere) box.append(
    el("p", {}, state.done ? "The reward model can learn from these rankings: go to the Reward tab. More rankings make it better; ask for more replies below."
      : "A reward model learns what people prefer from rankings. For each prompt you see a few replies, without knowing who wrote them, and put them in order."),
    state.done ? "" : el("ol", {}, el("li", {}, "Train an SFT adapter (SFT tab), or take the base model as it is."), el("li", {}, "Below, let it write a few replies to each prompt."), el("li", {}, "Rank them here: press 1 to 4 in order, then Enter. About 10 seconds each.")));
  if (state.done || state.aside) box.append(el("div", { class: "rk-keys" }, key("Z", "Undo last", undo)));
  return box;
}
function draw() {
  if (!state || (document.activeElement && document.activeElement.classList.contains("rk-name") && root.contains(document.activeElement))) return; // someone is typing a name
  const focus = document.activeElement && root.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
  const parts = [bar()];
  if (drawer) parts.push(rubric());
  if (!state.item) parts.push(empty());
  else {
    parts.push(prompt(), el("div", { class: `rk-cards rk-k${cards()}` }, ...state.item.cards.map(card)));
    if (!isPair() && !rates()) parts.push(rail());
    parts.push(el("p", { class: "rk-reading", role: "status", "aria-live": "polite" }, reading()), notes(), made.isWriting && writing(), keys());
  }
  if (state.ahead) parts.push(el("p", { class: "rk-ahead" }, `${state.ahead} `, el("button", { class: "rk-link", type: "button", onclick: () => ask(server.rank_ahead, { id: state.item ? state.item.id : 0 }) }, "Stop that")));
  parts.push(el("p", { class: "rk-say", role: "status", "aria-live": "polite" }));
  root.replaceChildren(...parts.filter(Boolean));
  if (focus) { const again = root.querySelector(`[data-testid="${focus}"]`); if (again) again.focus() }
}

// --- keys: only while this tab is in view and nobody types

const KEYS = { Enter: enter, t: tie, "=": tie, Backspace: back, x: () => send("bad"), s: () => send("skip"), z: undo, e: write, c: note, m: mode, v: () => set({ strength: (made.strength + 1) % 4 }),
  "?": () => { drawer = !drawer; draw() }, ArrowRight: () => rates() && step(1), ArrowDown: () => rates() && step(1), ArrowLeft: () => rates() && step(-1), ArrowUp: () => rates() && step(-1) };
function onKey(e) {
  if (!element.isConnected) return document.removeEventListener("keydown", onKey);
  if (!state || !root.offsetParent || e.ctrlKey || e.metaKey || e.altKey || e.repeat) return;
  if (e.target.closest && e.target.closest("input, textarea, select, [contenteditable=true], [role=listbox], [role=tab]")) return;
  if (e.target.closest && e.target.closest("button, summary, a") && (e.key === "Enter" || e.key === " ")) return;
  const pressed = e.key.length === 1 ? e.key.toLowerCase() : e.key, tag = TAG_KEYS.indexOf(pressed);
  let act = KEYS[pressed];
  if (!state.item && !["z", "?"].includes(pressed)) return;
  if (tag >= 0 && pressed.length === 1) act = () => toggle(state.tags[tag]);
  if (pressed >= "1" && pressed <= (rates() ? "5" : String(cards())) && pressed.length === 1) act = () => (rates() ? rate(Number(pressed)) : pick(Number(pressed) - 1));
  if (pressed === "0" && isPair()) act = tie;
  if (act && (rates() || !pressed.startsWith("Arrow"))) { e.preventDefault(); act() }
}
document.addEventListener("keydown", onKey);
function onBack(e) {
  if (!element.isConnected) return document.removeEventListener("wb-bring-back", onBack);
  refresh(e.detail).then(() => e.detail && root.scrollIntoView({ block: "start", behavior: "smooth" }));
}
document.addEventListener("wb-bring-back", onBack);

// An empty desk looks for new work; a full one only says that somebody still reads, so that nobody else gets the item.
let held = 0;
async function tick() {
  if (!element.isConnected) return;
  if (root.offsetParent && !document.hidden) {
    if (!state || !state.item) await refresh();
    else if (Date.now() - held > 30000) { held = Date.now(); server.rank_hold(judge()).catch(() => {}) }
  }
  setTimeout(tick, document.hidden ? 5000 : 1500);
}
refresh().then(tick);
