// Two replies side by side as they grow, a vote, the tally, and what was asked before.
const root = element.querySelector(".wb"), { el, put, button, number: figure } = wb;
const LETTERS = "ABCDEFGH", WORDS = { first: "A is better", second: "B is better", tie: "a tie", bad: "both bad", other: "ranked" };
const memory = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window forgets, no harm */ } } };
const named = new Set(); // comparisons whose names were in view before the vote: that vote was not blind, whatever the box says now
let wanted = 0, now = null, tallied = "", tick = null;

const blind = el("input"), blindLabel = el("label", "cp-blind", null, blind, el("span", "", "Blind: hide names and shuffle sides until the vote"));
blind.type = "checkbox";
blind.checked = memory.get("wb-blind") === "1";
const stop = button("Stop", "", () => act("talk_stop")), head = el("div", "wb-row cp-head", null, blindLabel, el("span", "wb-space"), stop);
const talk = el("div", "cp-talk"), panes = el("div", "cp-panes"), status = el("p", "cp-status wb-faint"), trouble = el("p", "wb-trouble");
const votes = el("div", "wb-row cp-votes"), tally = el("div", "cp-tally"), earlier = el("div", "cp-earlier"), thread = el("div", "wb-row cp-thread");
status.setAttribute("role", "status");
trouble.setAttribute("role", "alert");
panes.tabIndex = -1;
stop.dataset.testid = "compare-stop";
root.append(thread, head, talk, panes, status, trouble, votes, tally, earlier);
for (const each of [stop, trouble, thread]) each.hidden = true;

const isGrowing = () => now && ["waiting", "writing"].includes(now.state);
const canVote = () => now && now.state === "ready" && now.panes.length === 2;
const kbd = (text) => el("kbd", "", text);

// --- the two panes: changed in place, so that a selection survives the streaming

function pane(place) {
  const name = el("b", "cp-name"), letter = el("span", "cp-letter", LETTERS[place]), note = el("span", "wb-faint"), text = el("p", "cp-text");
  const on = button("Go on from here", "wb-link cp-on", () => follow(place)), box = el("div", "cp-pane", null, el("header", "", null, letter, name, note), text, on);
  box.setAttribute("role", "group");
  box.dataset.testid = `pane-${place}`;
  return Object.assign(box, { parts: { name, note, text, on } });
}

function drawPanes() {
  while (panes.children.length > now.panes.length) panes.lastChild.remove();
  while (panes.children.length < now.panes.length) panes.append(pane(panes.children.length));
  now.panes.forEach((reply, place) => {
    const box = panes.children[place], { name, note, text, on } = box.parts;
    const won = (now.vote === "first" && place === 0) || (now.vote === "second" && place === 1);
    put(name, reply.name || "name hidden");
    name.classList.toggle("wb-faint", !reply.name);
    put(note, isGrowing() && !reply.finished ? "" : `${reply.tokens} tokens${reply.tokens >= now.cut && now.cut ? ", cut at the limit" : ""}`);
    put(text, reply.text || (isGrowing() ? "" : "(an empty reply)"));
    box.classList.toggle("cp-growing", isGrowing() && !reply.finished);
    box.classList.toggle("cp-won", won);
    box.setAttribute("aria-label", `Reply ${LETTERS[place]}${reply.name ? " by " + reply.name : ""}`);
    on.hidden = isGrowing() || !reply.text;
  });
}

function drawTalk() {
  const turns = JSON.stringify(now.prompt);
  if (talk.dataset.turns === turns) return;
  talk.dataset.turns = turns;
  talk.replaceChildren(...now.prompt.filter((turn) => turn.role !== "system").map((turn) =>
    el("div", `cp-turn cp-${turn.role === "user" ? "user" : "reply"}`, null, el("small", "wb-faint", turn.role === "user" ? "You" : "Assistant"), el("p", "", turn.content))));
}

function sentence() {
  if (now.state === "failed") return "No answer.";
  if (isGrowing()) {
    if (now.busy.length) return `A training run (${now.busy[0]}) is using the device; answers come between two steps.`;
    return now.state === "waiting" ? "The model is being loaded; the first answer takes a little longer." : "Writing ...";
  }
  if (now.vote) return `Your vote: ${WORDS[now.vote]}. It is a preference now, and trains the next reward model.`;
  return canVote() ? "Which reply is better?" : "";
}

function vote(key, text, choice) {
  const made = button("", "cp-vote", (event) => { act("talk_vote", { choice }); if (event.detail) made.blur(); });
  made.append(kbd(key), document.createTextNode(" " + text));
  made.dataset.testid = `vote-${choice}`;
  return made;
}
const ballot = [vote("1", "A better", "first"), vote("2", "B better", "second"), vote("0", "Tie", "tie"), vote("9", "Both bad", "bad")], undo = vote("Z", "Take the vote back", "undo");
votes.append(...ballot, undo);

function draw() {
  trouble.hidden = !now.error;
  put(trouble, now.error || "");
  const isEmpty = !now.number;
  for (const each of [head, panes, votes, tally]) each.hidden = isEmpty;
  if (isEmpty) return teach();
  stop.hidden = !isGrowing();
  drawTalk();
  drawPanes();
  put(status, sentence());
  ballot.forEach((each) => (each.hidden = !canVote()));
  undo.hidden = !now.vote || now.vote === "other";
}

function teach() {
  put(status, "");
  talk.dataset.turns = "";
  talk.replaceChildren(el("h3", "", "Ask two models the same and see them answer side by side"), el("p", "", now.trained
    ? "Write a question above, or choose an example, and press Enter. Then vote: 1, 2, 0 for a tie, 9 when both are bad. Every vote counts in the win rate below and trains the next reward model."
    : "Nothing is trained yet, so there is only the base model to talk to. Start on the SFT tab (or let the Overview run the whole demo); each adapter then appears in the two lists above."));
}

// --- the tally and earlier questions: read when something changed, not at every look

async function drawTally() {
  const found = await server.talk_tally({ number: now.number });
  if (found.error) return;
  if (!found.n) return tally.replaceChildren(el("span", "wb-faint", now.panes.length === 2 ? "No vote on these two yet." : ""));
  const percent = (share) => `${Math.round(100 * share)}%`, bar = el("div", "cp-bar", null, el("i", "cp-range"), el("i", "cp-mark"), el("i", "cp-half"));
  bar.children[0].style.cssText = `left:${100 * found.low}%;width:${100 * (found.high - found.low)}%`;
  bar.children[1].style.left = `${100 * found.rate}%`;
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", `win rate ${percent(found.rate)}, between ${percent(found.low)} and ${percent(found.high)}`);
  const clear = found.low > 0.5 ? `${found.a} is better, and chance does not explain it.` : found.high < 0.5 ? `${found.b} is better, and chance does not explain it.` : "Too close to tell yet: 50% lies inside the interval.";
  tally.replaceChildren(el("div", "", null, el("b", "", `${found.a} wins ${percent(found.rate)}`), el("span", "", ` against ${found.b}`), el("span", "wb-faint", `   95% interval ${percent(found.low)} to ${percent(found.high)}`)), bar,
    el("p", "wb-faint", `${figure(found.n)} judged: ${figure(found.wins)} won, ${figure(found.losses)} lost, ${figure(found.ties)} tied, simulated judgements included. ${clear}`));
}

function verdict(row) {
  const best = { first: 0, second: 1 }[row.vote];
  return best === undefined || !row.panes[best].name ? WORDS[row.vote] : `${row.panes[best].name} is better`;
}

async function drawEarlier() {
  const found = await server.talk_earlier({ blind: blind.checked });
  if (found.error) return;
  const rows = found.rows.filter((row) => row.number !== now.number);
  earlier.replaceChildren(...(rows.length ? [el("h4", "wb-faint", "Earlier questions")] : []), ...rows.map((row) => {
    const made = button("", "cp-past", () => show(row.number)), said = row.panes.map((one, place) => el("span", "cp-said", null, el("b", "", one.name || LETTERS[place]), document.createTextNode(" " + one.text)));
    made.append(el("span", "cp-asked", row.prompt[row.prompt.length - 1].content), el("span", "wb-faint", row.vote ? verdict(row) : row.state === "ready" ? "no vote yet" : row.state), ...said);
    return made;
  }));
}

// --- acting

async function act(call, more) {
  if (!now || !now.number) return;
  try {
    const answer = await server[call]({ number: now.number, blind: blind.checked, named: named.has(now.number), annotator: memory.get("wb-annotator") || "me", ...more });
    if (answer.error && !answer.number) { trouble.hidden = false; return put(trouble, answer.error); }
    take(answer);
  } catch { put(status, "The app does not answer; nothing was lost. Try again."); }
}
function take(answer) {
  now = answer;
  if (now.number && !now.vote && !blind.checked) named.add(now.number);
  draw();
  const seen = `${now.number} ${now.state} ${now.vote} ${blind.checked}`;
  if (now.number && seen !== tallied && !isGrowing()) (tallied = seen), drawTally(), drawEarlier();
}
function show(number) { wanted = Number(number); tallied = ""; tick(); }

function setThread(value, text) {
  const box = document.querySelector("#compare-thread textarea, #compare-thread input");
  if (!box) return;
  box.value = value;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  thread.hidden = !value;
  thread.replaceChildren(el("span", "", text), button("Start a new conversation instead", "wb-link", () => setThread("", "")));
}
function follow(place) {
  setThread(`${now.number}:${place}:${blind.checked ? 1 : 0}`, `The next question goes on from reply ${LETTERS[place]}; both will read it as their own.`);
  const box = document.querySelector("#compare-question textarea");
  if (box) box.focus();
}

async function look() {
  const asked = wanted, answer = await server.talk_look({ number: wanted, blind: blind.checked });
  if (asked !== wanted) return 50;
  if (answer.error && !answer.state) return (wanted = 0), 2000;
  if (answer.number) wanted = answer.number;
  take(answer);
  return isGrowing() ? 180 : 2500;
}
blind.addEventListener("change", () => { memory.set("wb-blind", blind.checked ? "1" : "0"); tallied = ""; tick(); });

function onAsked(event) {
  if (!element.isConnected) return document.removeEventListener("wb-asked", onAsked);
  thread.hidden = true;
  panes.focus({ preventScroll: true }); // the vote keys work at once, and do not land in the question box
  show(event.detail);
}
function onKey(event) {
  if (!element.isConnected) return document.removeEventListener("keydown", onKey);
  if (!wb.shows(root) || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select, [role=listbox], [role=tab]")) return;
  const choice = { 1: "first", 2: "second", 0: "tie", 9: "bad", z: "undo" }[event.key.toLowerCase()];
  if (choice && (choice === "undo" ? now && now.vote && now.vote !== "other" : canVote())) { event.preventDefault(); act("talk_vote", { choice }); }
}
document.addEventListener("wb-asked", onAsked);
document.addEventListener("keydown", onKey);
tick = wb.poll(element, look);
