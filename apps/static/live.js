// A run as it goes: a line of state, tiles, charts and samples. Asks the server for what is new since the last step it has.
const { el, put, number, clock } = wb, spec = props.spec, root = element.querySelector(".wb");
let wanted = wb.asked("run"), have = "", stage = props.stage, to = -1, charts = [], tiles = {}, looks = [], tags = {}, kept = {};

const picker = el("select", "wb-picker"), state = wb.state(""), line = el("span", "wb-number wb-line"), trouble = el("p", "wb-trouble"), said = el("p", "wb-bad-text"), track = el("div", "wb-track", null, el("i"));
picker.setAttribute("aria-label", "Run to show");
state.setAttribute("role", "status");
said.setAttribute("role", "status");
trouble.hidden = true;
picker.hidden = !props.picks;
const resume = wb.button("Resume", "", () => act({ verb: "resume" }));
resume.hidden = true;
resume.title = "Goes on from the last checkpoint.";
const more = el("div", "wb-grid"), fold = el("details", "", null, el("summary", "", "More curves"), more);
const tileRow = el("div", "wb-tiles"), grid = el("div", "wb-grid"), outcome = el("div"), samples = new wb.Samples(server), overdone = new wb.Overdone(server);
const health = new wb.Health((rule) => act({ verb: "remedy", rule }));
const act = async (question) => {
  const done = await server.act({ ...question, run: have });
  said.className = done.error ? "wb-bad-text" : "wb-said";
  said.replaceChildren(done.error || done.said || "", ...(done.runs || []).flatMap((run) => [" ", wb.link(`Show ${run}`, stage, run)]),
    ...(done.runs?.length ? [" ", wb.button("Compare them", "wb-link", () => wb.compare([have, ...done.runs.filter((run) => run !== have)]))] : []));
  tick();
}, steer = new wb.Steer(act);
root.append(el("div", "wb-row wb-status", null, picker, state, line, el("span", "wb-space"), resume), track, said, trouble, health.box, outcome, steer.box, tileRow, grid, overdone.box, samples.box, fold);

function furnish(name) {
  stage = name;
  charts = (spec.charts[name] || []).map((each) => new wb.Chart(each, spec.metrics));
  grid.replaceChildren(...charts.filter((chart) => chart.spec.isMain).map((chart) => chart.box));
  more.replaceChildren(...charts.filter((chart) => !chart.spec.isMain).map((chart) => chart.box));
  fold.hidden = !more.childElementCount;
  tiles = {};
  tileRow.replaceChildren(...(spec.tiles[name] || []).map((key) => {
    const meaning = spec.metrics[key], value = el("b", "wb-number", "–"), was = el("small", "wb-number", "");
    tiles[key] = { value, was, first: null };
    return el("div", "wb-tile", null, el("span", "wb-tile-head", null, el("span", "", meaning.title), wb.tip(meaning.help, meaning.healthy)),
      el("span", "", null, value, meaning.unit === "share" ? null : el("em", "", " " + meaning.unit)), was);
  }));
  samples.box.hidden = !["sft", "ppo"].includes(name) || props.is_now;
  overdone.box.hidden = name !== "ppo" || props.is_now;
}

function reset(found) {
  have = found.run;
  to = -1;
  if (found.stage && found.stage !== stage) furnish(found.stage);
  else charts.forEach((chart) => wb.later(() => chart.clear())); // behind what is still to be drawn
  for (const tile of Object.values(tiles)) tile.first = null, put(tile.value, "–"), put(tile.was, "");
  looks = [];
  samples.clear();
  overdone.clear();
  health.clear();
  steer.clear();
}

function describe(found) {
  if (!found.run) return props.picks ? `Nothing has run here yet. Set the form on the left and press Start; the curves grow here.` : "";
  const parts = [found.total ? `step ${found.step} of ${found.total}` : `step ${found.step}`];
  if (found.eta !== null) parts.push(`${clock(found.eta)} to go`);
  if (found.pace) parts.push(`${number(found.pace)} s per step`);
  if (found.state === "queued") parts.length = 0, parts.push(found.ahead ? `waits for ${found.ahead}` : "starts in a moment");
  if (found.note) parts.push(found.note);
  if (!props.picks) parts.unshift(found.run);
  return parts.join("  ·  ");
}

function pickers(found) {
  const names = JSON.stringify(found.runs);
  if (!props.picks || picker.dataset.names === names) return;
  picker.dataset.names = names;
  picker.replaceChildren(...found.runs.map((one) => Object.assign(el("option", "", `${one.id}  (${one.state})`), { value: one.id })));
  picker.hidden = !found.runs.length;
}

async function look() {
  const answer = await server.poll({ stage: props.stage, run: wanted, have, after: to, looked: looks.at(-1) ?? -1, tags });
  if (answer.error) return put(line, answer.error), 4000;
  // What seldom changes is only sent when it did.
  for (const part of Object.keys(answer.tags)) kept[part] = answer[part];
  Object.assign(tags, answer.tags);
  const found = { ...kept, ...answer };
  root.hidden = !props.picks && !found.run;
  if (found.reset) reset(found);
  pickers(found);
  if (picker.value !== found.run) picker.value = found.run;
  put(state, found.state || "no run yet");
  state.dataset.state = found.state;
  put(line, describe(found));
  track.firstChild.style.width = found.total ? `${(100 * found.step) / found.total}%` : "0";
  resume.hidden = !found.canResume || !props.picks;
  trouble.hidden = !found.trouble;
  put(trouble, found.trouble);
  to = found.to;
  for (const chart of charts) wb.later(() => chart.add(found.series));
  for (const [key, tile] of Object.entries(tiles)) {
    const fresh = found.series[key];
    if (!fresh) continue;
    const known = fresh[1].filter((value) => value !== null);
    if (tile.first === null && known.length) tile.first = known[0];
    if (known.length) put(tile.value, number(known.at(-1))), put(tile.was, "from " + number(tile.first));
  }
  outcome.replaceChildren(...(found.result ? [wb.result(found.result)] : []));
  if (found.health) health.show(found.health);
  steer.show(found.steer);
  for (const chart of charts) wb.later(() => chart.mark(found.steer, found.star));
  looks = looks.concat(found.samples);
  if (["sft", "ppo"].includes(stage)) samples.update(found.run, found.step, looks.length);
  if (stage === "ppo") overdone.update(found.run, looks.length);
  // A glance takes a second or two; asking more often than steps come would only cost bytes.
  return wb.LIVE.includes(found.state) ? Math.min(2000, Math.max(800, 2000 * found.pace)) : 2500;
}

root.hidden = !props.picks;
furnish(props.stage || "sft");
const tick = wb.poll(element, look);
picker.addEventListener("change", () => (put(said, ""), wb.select(picker.value)));
document.addEventListener("wb-run", (event) => {
  wanted = event.detail;
  tick();
});
