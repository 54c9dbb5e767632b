// The run bar: which run, how far, how well, and what can be done with it.
const { el, put, number, clock } = wb, root = element.querySelector(".wb");
const name = el("button", "wb-button wb-link wb-strong"), state = wb.state(""), when = el("span", "wb-faint"), line = el("span", "wb-number wb-line"), trouble = el("p", "wb-trouble"), track = el("div", "wb-track", null, el("i"));
const queue = el("button", "wb-button wb-link wb-faint"), said = el("span", "wb-bad-text");
let run = null;
name.type = queue.type = "button";
state.setAttribute("role", "status");

const act = (verb) => async () => {
  const done = await server.act({ verb, run: run.id });
  put(said, done.error || "");
  tick();
};
const pause = wb.button("Pause", "", act("pause")), resume = wb.button("Resume", "", act("resume")), stop = wb.button("Stop and save", "", act("stop"));
pause.title = "Saves everything and frees the device after the present step; Resume goes on exactly there.";
stop.title = "Saves the adapter as it is and ends the run after the present step.";
resume.title = "Goes on from the last checkpoint.";
root.append(el("div", "wb-row", null, when, state, name, line, said, queue, pause, resume, stop), track, trouble);
name.addEventListener("click", () => run && wb.open(run.tab, run.id));
queue.addEventListener("click", () => wb.open("runs"));

function show(found) {
  run = found.run;
  for (const each of [when, name, state, track]) each.hidden = !run;
  queue.hidden = !found.queued;
  put(queue, `${found.queued} in the queue`);
  pause.hidden = !run || !run.is_live || run.state === "pausing";
  stop.hidden = !run || !(run.is_live || run.state === "paused") || run.state === "stopping";
  resume.hidden = !run || !run.can_resume;
  if (!run) return (trouble.hidden = true), put(line, "Nothing has run yet. The demo on the Overview tab shows the whole chain.");
  const parts = [run.total ? `step ${run.step} of ${run.total}` : run.step ? `step ${run.step}` : ""];
  for (const [title, value] of run.numbers) parts.push(`${title} ${number(value)}`);
  if (run.warned) parts.push(run.warned);
  if (run.eta !== null) parts.push(`${clock(run.eta)} to go`);
  put(name, run.id);
  put(when, run.is_live ? "" : "Latest run");
  put(state, run.state);
  state.dataset.state = run.state;
  put(line, parts.filter(Boolean).join("  ·  "));
  track.firstChild.style.width = run.total ? `${(100 * run.step) / run.total}%` : "0";
  track.hidden = !run.is_live;
  trouble.hidden = !run.trouble;
  put(trouble, run.trouble);
}

const tick = wb.poll(element, async () => {
  const found = await server.look({});
  if (!found.error) show(found);
  return 2000;
});
