// Critique and revise: a draft, what the model found wrong with it, and how it rewrote it; the good ones become demonstrations.
const { el, button } = wb, root = element.querySelector(".wb");
let run = "", page = 0, seen = "", said = "", total = 0;
const count = el("span", "wb-faint"), counted = () => `${total} rewritten${out.size ? `, ${out.size} left out` : ""}`;
const out = new Set();  // places that a person took out, of the run that is shown

function going(each) {
  const eta = each.eta ? `, ${wb.clock(each.eta)} to go` : "";
  return el("p", "wb-line", each.state === "queued" ? `${each.id} waits for its turn.` : `${each.id} is writing${each.total ? `: ${each.step} of ${each.total}` : ""}${eta}.`);
}

function row(each) {
  const toggle = button("", "wb-link", () => { out.has(each.place) ? out.delete(each.place) : out.add(each.place); mark() });
  const side = (title, text) => el("div", "", null, el("div", "wb-side-head", title), el("p", "wb-reply", text || "(nothing)"));
  const turns = each.turns.map((turn, at) => el("div", "fb-turn", null, el("p", "", null, el("strong", "", `Round ${at + 1}. `), document.createTextNode(turn.principle)),
    el("p", "wb-faint", turn.critique || "(no critique)"), at + 1 < each.turns.length && el("p", "wb-reply", turn.revision || "(nothing)")));
  const made = el("div", "wb-card", null,
    el("div", "wb-row fb-head", null, el("p", "wb-prompt", each.prompt), toggle),
    el("div", "wb-sides", null, side("first answer", each.draft), side("last revision", each.final)),
    el("details", "", null, el("summary", "", "Principles and critiques"), ...turns));
  made.dataset.testid = "revision";
  function mark() {
    const isOut = out.has(each.place);
    wb.put(toggle, isOut ? "Left out. Put back" : "Leave out");
    toggle.setAttribute("aria-pressed", String(isOut));
    made.classList.toggle("fb-out", isOut);
    if (count.isConnected) wb.put(count, counted());
  }
  mark();
  return made;
}

function turn(text, by, enabled) {
  const made = button(text, "", () => ((page += by), (seen = ""), tick()));
  made.disabled = !enabled;
  return made;
}

async function keep() {
  const answer = await server.revisions_keep({ run, out: [...out] });
  said = answer.error || `${answer.name} has ${answer.usable} demonstrations now. Read them once more on the Data tab before SFT learns from them.`;
  seen = "";
  tick();
}

function picker(runs) {
  const made = el("select", "wb-picker");
  for (const each of runs) { const option = el("option", "", each); option.value = each; option.selected = each === run; made.append(option) }
  made.setAttribute("aria-label", "Run");
  made.addEventListener("change", () => { run = made.value; page = 0; out.clear(); said = ""; seen = ""; tick() });
  return made;
}

function empty() {
  return el("div", "wb-box fb-empty", null, el("strong", "", "Nothing was rewritten yet"),
    el("p", "", "Every pack has prompts that tempt a model to fail: insults, tricks, requests it should turn down. Here it answers them, is shown one principle, says what is wrong with its own answer, and writes it anew."),
    el("p", "", "You read what came of it and keep what is good; that becomes a corpus of demonstrations, marked as written by a model. A small model criticises poorly: expect to throw much away."));
}

const tick = wb.poll(element, async () => {
  const found = await server.revisions_look({ run, page }), now = JSON.stringify(found), wait = found.live && found.live.length ? 2000 : 5000;
  if (now === seen) return wait;
  seen = now;
  if (found.error) return root.replaceChildren(el("p", "wb-trouble", found.error)), wait;
  if (run !== found.run) out.clear();
  run = found.run; page = found.page; total = found.total;
  if (!run || (!found.total && !found.live.length)) return root.replaceChildren(...found.live.map(going), empty()), wait;
  const bar = el("div", "wb-row", null, picker(found.runs), count, el("span", "wb-space"),
    found.total > 0 && button(found.kept ? "Make the demonstrations anew" : "Make demonstrations of them", "wb-main", keep));
  wb.put(count, counted());
  const pages = found.pages > 1 && el("div", "wb-row", null, turn("Back", -1, page > 0), el("span", "wb-faint", `page ${page + 1} of ${found.pages}`), turn("On", 1, page + 1 < found.pages));
  root.replaceChildren(...found.live.map(going), bar, ...(said ? [el("p", "wb-line", said)] : []), el("div", "wb-cards", null, ...found.rows.map(row)), ...(pages ? [pages] : []));
  return wait;
});
