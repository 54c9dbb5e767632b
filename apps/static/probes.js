// Ways to game a reward model: what was done to a good reply, and how often the good one still scored higher.
const { el, put } = wb, root = element.querySelector(".wb");
const head = el("div", "wb-row"), list = el("div", "wb-probes"), note = el("p", "wb-faint");
const box = el("section", "wb-box", null, head, list, note);
root.append(box);
const title = el("strong", "", "Can it be gamed?"), verdict = el("span", "wb-faint");
head.append(title, wb.tip("The best reply to each held-out prompt is changed in ways that add nothing, or take the answer away. A sound reward model prefers it unchanged.",
  "Green: it does on at least 7 prompts in 10. Red: it prefers the change."), verdict);
let wanted = wb.asked("run"), seen = "";

function row(probe) {
  const dot = el("i", "wb-dot");
  const track = el("span", "wb-share", null, el("i"));
  track.firstChild.style.width = `${100 * probe.share}%`;
  const made = el("div", "wb-probe", null, dot, el("strong", "", probe.title), el("span", "wb-faint", probe.about), track,
    el("span", "wb-number", probe.figure), el("span", "wb-faint", probe.word));
  made.dataset.verdict = probe.verdict;
  return made;
}

const tick = wb.poll(element, async () => {
  const found = await server.worth_said({ run: wanted });
  const now = JSON.stringify(found.probes);
  const wait = found.over ? 12000 : 3000;
  if (found.error || now === seen) return wait;
  seen = now;
  const bad = found.probes.filter((probe) => probe.verdict === "bad").map((probe) => probe.title.toLowerCase());
  put(verdict, found.probes.length < 2 ? "" : bad.length ? `${found.run}: fooled by ${bad.join(", ")}` : `${found.run}: nothing tried fools it on most prompts`);
  list.replaceChildren(...found.probes.map(row));
  put(note, found.probes.length > 1 ? found.note : "When a reward model is done, it is shown here whether padding, lists, flattery or a refusal would fool it.");
  return wait;
});
document.addEventListener("wb-run", (event) => ((wanted = event.detail), tick()));
