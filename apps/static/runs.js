// All runs in a table; the chosen one with lineage and knobs. Its curves are the live panel below.
const { el, put, clock } = wb, root = element.querySelector(".wb");
let chosen = wb.asked("run"), sawRuns = "", sawDetail = "", tag = "", compared = wb.compared || [];
const list = el("div", "wb-scroll"), detail = el("div", "wb-detail"), said = el("p", "wb-bad-text");
const empty = el("p", "wb-faint", "No run yet. Every run you start, on any tab, in a notebook or on the command line, is listed here with what it came from and what it left behind.");
const overlay = new wb.Overlay(server);
overlay.show(compared);
root.append(list, empty, said, overlay.box, detail);

const act = (verb, run) => async () => {
  const done = await server.act({ verb, run });
  put(said, done.error || "");
  tick();
};

// A page of its own, given to the browser as a file.
const report = (question, name) => async () => {
  put(said, "Writing the report …");
  const found = await server.report(question);
  put(said, found.error || "");
  if (found.error) return;
  const link = Object.assign(el("a"), { href: URL.createObjectURL(new Blob([found.html], { type: "text/html" })), download: `${name}.html` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

function choose(run) {
  chosen = run;
  wb.select(run);
}

function names(runs) {
  return el("span", "wb-row", null, ...runs.map((run) => wb.button(run, "wb-link", () => choose(run))));
}

// Ticked runs are laid over each other; the colour of a line is its place in the order of ticking.
function comparing(run) {
  const box = Object.assign(el("input"), { type: "checkbox", checked: compared.includes(run.id) });
  box.setAttribute("aria-label", `Compare ${run.id}`);
  box.addEventListener("change", () => {
    compared = box.checked ? [...compared, run.id] : compared.filter((one) => one !== run.id);
    overlay.show(compared);
  });
  return box;
}

document.addEventListener("wb-compare", (event) => {
  compared = event.detail.slice(0, 8);
  sawRuns = tag = "";
  overlay.show(compared);
});

const lasted = (run) => run.seconds ?? (run.started ? Date.now() / 1000 - run.started : null);

function draw(runs) {
  const rows = runs.map((run) => [comparing(run), wb.button(run.id, "wb-link", () => choose(run.id)), wb.state(run.state), run.step,
    run.started ? new Date(run.started * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" }) : "–",
    clock(lasted(run)), names(run.from), run.headline]);
  const made = wb.table(["", "run", "state", "step", "started", "took", "from", "headline"], rows);
  [...made.tBodies[0].rows].forEach((line, place) => {
    line.classList.toggle("wb-on", runs[place].id === chosen);
    line.cells[2].firstChild.dataset.state = runs[place].state;
  });
  list.replaceChildren(made);
  list.hidden = !runs.length;
  empty.hidden = runs.length > 0;
}

function describe(run) {
  const buttons = el("div", "wb-row");
  if (run.is_live) buttons.append(wb.button("Pause", "", act("pause", run.id)), wb.button("Stop and save", "", act("stop", run.id)));
  if (run.can_resume) buttons.append(wb.button("Resume", "", act("resume", run.id)));
  buttons.append(wb.button("Report", "", report({ run: run.id }, run.id)), wb.button(`Report of round ${run.round}`, "", report({ round: run.round }, `round-${run.round}`)));
  if (!run.is_live) buttons.append(wb.sure("Delete", `Delete ${run.id} and its adapter?`, act("delete", run.id)));
  const facts = el("div", "wb-knobs");
  const fact = (name, value, help) => facts.append(Object.assign(el("span", "", name), { title: help || "" }), value instanceof Node ? value : el("span", "", value));
  fact("came from", run.from.length ? names(run.from) : "the base model");
  if (run.lineage) fact("fork", run.lineage);
  fact("used by", run.to.length ? names(run.to) : "nothing yet");
  fact("round", String(run.round));
  fact("last checkpoint", run.saved_step ? `step ${run.saved_step}` : run.is_live ? "none yet" : "none kept");
  for (const [name, help, value] of run.summary) fact(name, value, help);
  const knobs = el("div", "wb-knobs");
  for (const knob of run.knobs) knobs.append(Object.assign(el("span", "", knob.name), { title: knob.help }), el("span", knob.is_changed ? "wb-changed" : "", knob.value || "–"));
  const open = Object.assign(el("details", "", null, el("summary", "", "Knobs (bold: changed from the default)"), knobs, el("pre", "wb-code", run.code)), { open: true });
  return [el("section", "wb-box", null, el("div", "wb-row", null, el("strong", "", `${run.id}  ·  ${run.title}`), el("span", "wb-space"), buttons), facts), el("section", "wb-box", null, open)];
}

const tick = wb.poll(element, async () => {
  const found = await server.look({ run: chosen, tag });
  if (found.error) return put(said, found.error), 4000;
  if (compared.length > 1) overlay.look();
  if (found.same) return 2000;
  if (list.matches(":active")) return 300; // redrawing under the pointer would swallow a click
  tag = found.tag;
  const seen = JSON.stringify([chosen, found.runs]);
  if (!chosen && found.runs.length) choose(found.runs[0].id);
  if (seen !== sawRuns) draw(found.runs), (sawRuns = seen);
  const more = JSON.stringify(found.detail);
  if (more !== sawDetail) detail.replaceChildren(...(found.detail ? describe(found.detail) : []));
  sawDetail = more;
  return 2000;
});
document.addEventListener("wb-run", (event) => {
  chosen = event.detail;
  tick();
});
