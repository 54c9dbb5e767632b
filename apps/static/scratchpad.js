// A reply typed and scored while one types: the whole score, its parts, and how it changes with every token.
const { el, put, number } = wb, root = element.querySelector(".wb"), pad = Math.random().toString(36).slice(2);
const field = (name, label, rows, hint) => {
  const input = Object.assign(el("textarea", "wb-typed"), { rows, placeholder: hint, spellcheck: false });
  input.setAttribute("aria-label", label);
  input.dataset.testid = `pad-${name}`;
  return input;
};
const reward = Object.assign(el("input", "wb-typed wb-line-input"), { spellcheck: false, placeholder: "reward-1, or 0.8*reward-1 + 0.2*rule:customer-service" }), list = el("datalist");
list.id = `rewards-${pad}`;
reward.setAttribute("list", list.id);
reward.setAttribute("aria-label", "Reward");
reward.dataset.testid = "pad-reward";
const prompt = field("prompt", "Prompt", 2, "What the user says");
const sides = ["A", "B"].map((name) => ({ name, input: field(name, `Reply ${name}`, 4, name === "A" ? "A reply: type, and see its score move" : "Another one, to compare (optional)"),
  score: el("b", "wb-number", "–"), lead: el("span", "wb-faint"), trace: el("p", "wb-trace"), parts: el("p", "wb-faint") }));
const say = el("p", "wb-faint");
say.setAttribute("role", "status");
root.append(el("section", "wb-box wb-pad", null,
  el("div", "wb-row", null, el("strong", "", "Scratchpad"), wb.tip("Type a reply and see what the reward says of it, as PPO would hear it. The coloured tokens show how the score changes as the reply goes on: each is the score of the reply if it ended there, less the score before.",
    "A score that rises with what you value, and not with mere words."), el("span", "wb-space"), el("label", "wb-row wb-faint", null, el("span", "", "reward"), reward, list)),
  prompt, el("div", "wb-pad-sides", null, ...sides.map((side) => el("div", "wb-pad-side", null, side.input, el("div", "wb-row wb-pad-score", null, side.score, side.lead), side.trace, side.parts))), say));

let timer = 0, turn = 0;

function piece(text, delta, most, total) {
  const made = el("span", "wb-piece", text);
  const share = most ? Math.min(1, Math.abs(delta) / most) : 0;
  made.style.background = `color-mix(in srgb, var(${delta > 0 ? "--wb-good" : "--wb-bad"}) ${Math.round(45 * share)}%, transparent)`;
  made.title = `${delta > 0 ? "+" : ""}${number(delta)}, now ${number(total)}`;
  return made;
}

function show(side, found, other, most) {
  put(side.score, found ? number(found.score) : "–");
  put(side.lead, found && other ? (found.score > other.score ? `preferred, by ${number(found.score - other.score)}` : "") : "");
  const steps = found ? found.trace.slice(1).map((value, at) => value - found.trace[at]) : [];
  side.trace.replaceChildren(...(found ? found.pieces.map((text, at) => (at < steps.length ? piece(text, steps[at], most, found.trace[at + 1]) : el("span", "wb-faint", text))) : []));
  put(side.parts, found && found.parts.length > 1 ? found.parts.map(([name, weight, says]) => `${number(weight)} × ${name}: ${number(says)}`).join("  ·  ") : "");
}

function draw(answers, places) {
  const found = sides.map((_, at) => answers[places.indexOf(at)] || null);
  const most = Math.max(0, ...answers.flatMap((each) => each.trace.slice(1).map((value, at) => Math.abs(value - each.trace[at]))));
  sides.forEach((side, at) => show(side, found[at], found[1 - at], most));
}

async function ask() {
  const mine = ++turn, places = [0, 1].filter((at) => sides[at].input.value.trim());
  if (!reward.value.trim() || !prompt.value.trim() || !places.length) return draw([], []), put(say, "");
  const begun = await server.pad_try({ pad, reward: reward.value, prompt: prompt.value, replies: places.map((at) => sides[at].input.value) });
  if (mine !== turn) return;
  if (begun.error) return put(say, begun.error);
  while (mine === turn && element.isConnected) {
    const found = await server.pad_look({ trial: begun.trial });
    if (mine !== turn || found.state === "gone") return;
    if (found.error) return put(say, found.error);
    if (found.answers.length) draw(found.answers, places);
    put(say, found.state === "failed" ? found.why : found.answers.length ? "" : `${found.why} ...`);
    if (found.state !== "waiting") return;
    await new Promise((done) => setTimeout(done, found.answers.length ? 150 : 300));
  }
}

for (const input of [reward, prompt, ...sides.map((side) => side.input)]) input.addEventListener("input", () => (clearTimeout(timer), (timer = setTimeout(ask, 350))));

let known = "";
wb.poll(element, async () => {
  const found = await server.pad_choices({});
  if (found.error) return 5000;
  const now = JSON.stringify(found.rewards);
  if (now !== known) list.replaceChildren(...found.rewards.map((one) => Object.assign(el("option", "", one.title), { value: one.value })));
  if (!reward.value && found.hasModel) reward.value = found.rewards[0].value;
  if (!prompt.value && !known) prompt.value = found.prompt;
  if (!found.hasModel && !sides[0].input.value) put(say, "No reward model yet. A pack's rule can be tried already: choose rule:customer-service above.");
  known = now;
  return 10000;
});
