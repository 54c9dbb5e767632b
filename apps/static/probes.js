// Ways to game the newest reward model: what was done to a good reply, and how often the good one still scored higher.
const { el, put } = wb, root = element.querySelector(".wb");
const head = el("div", "wb-row"), list = el("div", "wb-probes"), note = el("p", "wb-faint");
root.append(el("section", "wb-box", null, head, list, note));
const title = el("strong", "", "Can it be gamed?"), verdict = el("span", "wb-faint");
head.append(title, wb.tip("The best reply to each held-out prompt is changed in ways that add nothing, or take the answer away. A sound reward model prefers it unchanged.",
  "Green: it does on at least 7 prompts in 10. Red: it prefers the change."), verdict);
let seen = "";

function row(probe) {
  const dot = el("i", "wb-dot");
  const track = el("span", "wb-share", null, el("i"));
  track.firstChild.style.width = `${100 * probe.share}%`;
  const made = el("div", "wb-probe", null, dot, el("strong", "", probe.title), el("span", "wb-faint", probe.about), track,
    el("span", "wb-number", `${Math.round(100 * probe.share)} %`), el("span", "wb-faint", probe.word));
  made.dataset.verdict = probe.verdict;
  return made;
}

wb.poll(element, async () => {
  const found = await server.look({});
  const now = JSON.stringify(found);
  if (found.error || now === seen) return 3000;
  seen = now;
  put(verdict, found.said);
  list.replaceChildren(...found.probes.map(row));
  put(note, found.note);
  return 3000;
});
