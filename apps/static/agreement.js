// How far annotators agree: each figure with what it means and what to do, then who judged how.
const { el } = wb, root = element.querySelector(".wb");
const TONES = { good: "good", warn: "warn", bad: "stop", open: "" };
let seen = "";

function remark(each) {
  const made = el("div", "wb-finding", null,
    el("div", "wb-row", null, el("strong", "", each.title), el("span", "wb-number", each.figure)),
    el("p", "wb-faint", each.meaning), el("p", "", each.advice));
  made.dataset.severity = TONES[each.tone] || "";
  made.dataset.testid = "remark";
  return made;
}

function table(title, help, healthy, heads, rows) {
  const box = el("div", "wb-scroll", null, wb.table(heads, rows));
  return el("section", "wb-agreed", null, el("div", "wb-row", null, el("strong", "", title), wb.tip(help, healthy)), box);
}

wb.poll(element, async () => {
  const found = await server.agreement_look({});
  const now = JSON.stringify(found);
  if (now === seen) return 10000;
  seen = now;
  if (found.error) return root.replaceChildren(el("p", "wb-trouble", found.error)), 5000;
  const parts = [el("div", "wb-remarks", null, ...found.remarks.map(remark))];
  if (found.rows.length) parts.push(table("Who judged", "Seconds: median time of a judgement. First card best: how often the card shown first was ranked best; far from chance means that the place decides.",
    "first card near chance, and agreement with itself above that with others", found.heads, found.rows));
  if (found.pairs.length) parts.push(table("Two by two", "How often two annotators give a pair of replies the same verdict. Cohen's kappa takes chance out: 0 is chance, 1 is perfect.",
    "kappa above 0.4; 0.2 to 0.4 is weak but common", found.pairHeads, found.pairs));
  root.replaceChildren(...parts);
  return 10000;
});
