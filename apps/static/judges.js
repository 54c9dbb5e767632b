// Models as annotators: how far each agrees with people, what to beware of, and some of its verdicts.
const { el, button, tip } = wb, root = element.querySelector(".wb");
const percent = (share) => `${Math.round(100 * share)}%`;
let seen = "";

function going(run) {
  const eta = run.eta ? `, ${wb.clock(run.eta)} to go` : "";
  return el("p", "wb-line", run.state === "queued" ? `${run.id} waits for its turn.` : `${run.id} is judging${run.total ? `: ${run.step} of ${run.total}` : ""}${eta}.`);
}

function tile(title, figure, small, help, healthy) {
  return el("div", "wb-tile", null, el("span", "wb-tile-head", null, el("span", "", title), tip(help, healthy)), el("span", "", null, el("b", "", figure)), el("small", "", small));
}

function example(each) {
  const word = { agrees: "people say so too", differs: "people say the opposite", "": "no person has said" }[each.people];
  const side = (title, text) => el("div", "", null, el("div", "wb-side-head", title), el("p", "wb-reply", text || "(an empty reply)"));
  const made = el("div", "wb-card fb-example", null,
    el("p", "wb-prompt", each.prompt),
    el("div", "wb-sides", null, side(`judged better, ${percent(each.chance)} sure`, each.better), side("judged worse", each.worse)),
    el("p", "fb-people", word));
  made.dataset.people = each.people;
  return made;
}

function judge(each) {
  const tiles = el("div", "wb-tiles", null,
    tile("Agreement with people", each.shared ? each.people.split(" ")[0] : "–", each.shared ? `${each.people.replace(/^\S+ /, "")} ${each.kappa}` : "nobody ranked these",
      "How often it and people name the same reply of a pair, with the 95% interval, over the comparisons that both judged.", "as high as people among themselves; the whole interval above 50%"),
    tile("Shared with people", String(each.shared), `of ${each.judged} judged`, "Comparisons that it and people judged.", "50 or more"),
    tile("Answers that flip", percent(each.flips), "when sides swap", "Both orders are asked and averaged. An answer that changes with the order follows the place, not the text.", "below 25%"),
    tile("Names the first", percent(each.first), "50% is fair", "How likely it names the reply that stands first. Averaging both orders takes this out of the labels.", "near 50%"),
    tile("Answers with a letter", percent(each.letters), "of its probability", "Probability that the answer is A or B and nothing else.", "near 100%"));
  const warnings = each.warnings.map((text) => { const made = el("p", "wb-finding", text); made.dataset.severity = "warn"; return made; });
  const examples = el("details", "", null, el("summary", "", `Some of its verdicts (${each.examples.length})`), el("div", "wb-cards", null, ...each.examples.map(example)));
  return el("section", "wb-box fb-judge", null,
    el("div", "wb-row", null, el("strong", "", each.name), el("span", "wb-faint", `by ${each.constitution}`)), tiles, ...warnings,
    el("p", "wb-faint", "A reward model can learn from these labels, each weighed by its certainty: choose ai-feedback, or rankings-and-ai-feedback, under preferences on the Reward tab."),
    examples);
}

function empty(count) {
  const steps = el("ol", "", null,
    el("li", "", "Read the constitution on the third tab; make it your own."),
    el("li", "", count ? "Start on the left. A person's ranking is never overwritten." : "Write replies to rank above, then start on the left. A person's ranking is never overwritten."),
    el("li", "", "Rank about 50 of the same comparisons yourself. How far it agrees with you appears here."));
  return el("div", "wb-box fb-empty", null, el("strong", "", "No model has judged yet"),
    el("p", "", "A model can say which of two replies keeps to a principle better, for a thousand pairs while you have lunch. It is often wrong, and small models hardly beat a coin; so nothing it says is used before you ask for it."), steps);
}

wb.poll(element, async () => {
  const found = await server.judges_look({}), now = JSON.stringify(found), wait = found.live && found.live.length ? 2000 : 5000;
  if (now === seen) return wait;
  seen = now;
  if (found.error) return root.replaceChildren(el("p", "wb-trouble", found.error)), wait;
  const open = root.querySelector("details[open]") !== null;
  root.replaceChildren(...found.live.map(going), ...(found.judges.length ? found.judges.map(judge) : [empty(found.to_judge)]));
  if (open) root.querySelectorAll("details").forEach((each) => (each.open = true));
  return wait;
});
