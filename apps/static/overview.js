// The overview: next step, pipeline, outcome; before anything ran, what the stages are and the demo.
const { el, put } = wb, root = element.querySelector(".wb"), cards = {};
const title = el("h2"), why = el("p", "wb-faint"), go = wb.button("", "wb-main", press), said = el("p", "wb-bad-text"), outcome = el("div");
const next = el("section", "wb-box wb-next", null, el("div", "", null, title, why), go);
const judge = el("select", "wb-picker"), pack = el("select", "wb-picker"), about = el("p", "wb-faint"), demo = wb.button("Run the demo", "wb-main", begin);
judge.setAttribute("aria-label", "Who ranks the replies");
judge.append(Object.assign(el("option", "", "simulated annotator ranks"), { value: "simulated" }), Object.assign(el("option", "", "I rank myself"), { value: "person" }));
pack.setAttribute("aria-label", "What the demo is about");
pack.addEventListener("change", describe);
const intro = el("section", "wb-box wb-next", null,
  el("div", "", null, el("h2", "", "See the whole chain at work"),
    el("p", "wb-faint", "The demo teaches a small model one domain: supervised fine-tuning, ranking, reward model, PPO, and a comparison on held-out prompts. It runs on this machine, also without a GPU, and needs no further click."),
    about),
  pack, judge, demo);
const pipeline = el("section", "wb-pipeline");
const way = (head, text, act, then) => el("section", "wb-box", null, el("strong", "", head), el("p", "wb-faint", text), act && wb.button(act, "", then));
const ways = el("section", "wb-ways", null,
  way("Bring your own rows", "Demonstrations, prompts or preferences in nearly any common file format. Every row that cannot be used is shown with its reason.", "Import a file", () => wb.open("data")),
  way("One stage at a time", "Every stage has a tab with a form that starts it, live curves, and replies to the same few prompts before and after.", "Begin with SFT", () => wb.open("sft")));
const python = way("The same in Python", "Browser, notebook and command line share this lab: a run started in one shows in the others.");
const code = el("pre", "wb-code");
python.append(code);
ways.append(python);
let found = null, sawStages = "", sawStory = "";
const models = el("section", "wb-box"), turns = el("section", "wb-box");
root.append(intro, next, said, pipeline, outcome, models, turns, ways);
models.hidden = turns.hidden = true;
next.hidden = intro.hidden = ways.hidden = true;

async function press() {
  if (!found.next.sft) return wb.open(found.next.tab);
  go.disabled = true;
  const done = await server.go_on({ sft: found.next.sft });
  go.disabled = false;
  put(said, done.error || "");
  tick();
}

async function begin() {
  demo.disabled = true;
  const done = await server.demo({ judge: judge.value, pack: pack.value });
  demo.disabled = false;
  put(said, done.error || "");
  tick();
}

function describe() {
  put(about, found.packs.find((each) => each.name === pack.value).about);
  put(code, found.python.replace("demo()", pack.selectedIndex ? `demo(pack="${pack.value}")` : "demo()"));
}

function card(stage) {
  const dot = el("i", "wb-dot"), headline = el("b", "wb-number"), text = el("span", "wb-faint wb-number");
  const made = el("button", "wb-box wb-stage-card", null, el("strong", "", null, dot, el("span", "", stage.title)), text, headline, el("p", "", stage.about));
  made.type = "button";
  made.addEventListener("click", () => wb.open(stage.id));
  pipeline.append(made);
  return (cards[stage.id] = { dot, headline, text });
}

const HEADS = [["model"], ["round"], ["gold", "What the pack's scoring rule makes of its replies to held-out prompts"],
  ["against its SFT", "How often its reply was preferred, ties as half, with the 95 % interval and the number of judgements"],
  ["KL", "Drift from its SFT model, nats per reply"], ["tokens", "Mean length of its replies"],
  ["tax", "Change of the perplexity of text outside the domain: what alignment costs elsewhere"], ["", "Why it is older than its input"]];

// Every model beside the one it came from, newest first: is alignment getting anywhere?
function drawModels(rows) {
  const made = wb.table(HEADS.map(([name]) => name), rows.map(([name, ...cells]) => [wb.button(name, "wb-link", () => wb.select(name)), ...cells]));
  [...made.tHead.rows[0].cells].forEach((cell, at) => { cell.title = HEADS[at][1] || "" });
  models.replaceChildren(el("strong", "", "Models so far"), made);
}

// What each turn of ranking and practising made; votes on the Compare tab belong to the round that is open.
function drawRounds(rows) {
  const list = rows.map((turn) => el("li", "", null, el("strong", "", `Round ${turn.number}`),
    el("span", "", `  ${turn.runs.join(" → ") || "no run yet"}; rankings: ${turn.rankings}`), ...turn.warnings.map((told) => el("p", "wb-warn-text", told))));
  turns.replaceChildren(el("strong", "", "Rounds"), el("p", "wb-faint", "A finished PPO run ends a round. What you rank or vote for after it trains the next reward model."),
    el("ul", "wb-rounds", null, ...list));
}

const tick = wb.poll(element, async () => {
  found = await server.look({});
  if (found.error) return 4000;
  intro.hidden = ways.hidden = !found.is_empty;
  if (!pack.options.length) {
    pack.append(...found.packs.map((each) => Object.assign(el("option", "", each.title), { value: each.name })));
    describe();
  }
  next.hidden = found.is_empty;
  put(title, found.next.title);
  put(why, found.next.why);
  put(go, found.next.button);
  for (const stage of found.stages) {
    const { dot, headline, text } = cards[stage.id] || card(stage);
    dot.dataset.state = stage.state;
    put(text, stage.run ? `${stage.run}  ·  ${stage.text}` : stage.text);
    put(headline, stage.headline);
  }
  const seen = JSON.stringify(found.result);
  if (seen !== sawStages) outcome.replaceChildren(...(found.result ? [wb.result(found.result)] : []));
  sawStages = seen;
  const story = JSON.stringify([found.ladder, found.rounds]);
  models.hidden = !found.ladder.length;
  turns.hidden = !found.rounds.length;
  if (story !== sawStory && !models.matches(":active")) drawModels(found.ladder), drawRounds(found.rounds), (sawStory = story);
  return 2000;
});
