// Past judgements, newest first, each with a way back.
const root = element.querySelector(".wb"), { el, button } = wb;
let page = 0;
const short = (text, most) => (text.length > most ? text.slice(0, most).trimEnd() + " ..." : text);
const chip = (text) => text && el("span", "rk-chip", text);

function when(seconds) {
  const minutes = (Date.now() / 1000 - seconds) / 60;
  if (minutes < 1) return "just now";
  return minutes < 60 ? `${Math.round(minutes)} min ago` : new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

async function takeBack(id, comparison) {
  const answer = await server.rank_undo({ judgement: id, ...wb.judge() });
  if (answer.error) return root.prepend(el("p", "wb-trouble", answer.error));
  document.dispatchEvent(new CustomEvent("wb-bring-back", { detail: comparison }));
  load();
}

function row(judged) {
  const undo = button("Take back", "", () => takeBack(judged.id, judged.comparison));
  undo.setAttribute("aria-label", `Take back judgement ${judged.id}`);
  return [when(judged.judged), el("span", "", judged.annotator + " ", chip(judged.source === "simulated" && "simulated")), el("b", "", judged.verdict),
    short(judged.prompt, 70), el("span", "", null, chip(judged.adapter), document.createTextNode(" " + short(judged.best, 90))), undo];
}

function turn(text, by, enabled) {
  const made = button(text, "", () => ((page += by), load()));
  made.disabled = !enabled;
  return made;
}

async function load() {
  const found = await server.rank_past({ page });
  if (found.error) return root.replaceChildren(el("p", "wb-trouble", found.error));
  page = found.page;
  if (!found.total) return root.replaceChildren(el("p", "wb-faint", "No judgement yet. Each one appears here and can be taken back."));
  const place = el("span", "wb-faint", `page ${page + 1} of ${found.pages}, ${found.total} judgement${found.total === 1 ? "" : "s"}`);
  root.replaceChildren(el("div", "rk-scroll", null, wb.table(["When", "Judge", "Ranking", "Prompt", "Best reply", ""], found.rows.map(row))),
    el("div", "rk-keys", null, turn("Newer", -1, page > 0), place, turn("Older", 1, page + 1 < found.pages)));
}

function onJudged() {
  if (!element.isConnected) return document.removeEventListener("wb-judged", onJudged);
  if (wb.shows(root)) load();
}
document.addEventListener("wb-judged", onJudged);
wb.poll(element, async () => (await load(), 15000)); // others may judge too, and a closed list reads nothing
