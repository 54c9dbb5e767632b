// The doctor's view of a run: one calm line, or a card for each finding with its figures and its remedy.
wb.Health = class {
  constructor(cure) {
    this.cure = cure;
    this.dot = wb.el("i", "wb-dot");
    this.verdict = wb.el("span", "");
    this.grounds = wb.el("ul", "");
    this.why = wb.el("details", "wb-grounds", null, wb.el("summary", "", "Why?"), this.grounds);
    this.cards = wb.el("div", "wb-cards");
    this.box = wb.el("section", "wb-health", null, wb.el("div", "wb-row", null, this.dot, wb.el("strong", "", "Health"), this.verdict), this.why, this.cards);
    this.box.setAttribute("aria-live", "polite");
    this.clear();
  }

  clear() {
    this.seen = "";
    this.box.hidden = true;
    this.why.hidden = true;
    this.cards.replaceChildren();
  }

  // Figures move with every step; only a change is drawn, so that a text can be marked and copied while a run goes on.
  show(found) {
    this.box.hidden = false;
    this.box.dataset.worst = found.worst;
    this.dot.dataset.worst = found.worst;
    wb.put(this.verdict, found.verdict);
    const seen = JSON.stringify([found.findings, found.grounds]);
    if (seen === this.seen || this.box.matches(":active")) return;
    this.seen = seen;
    this.why.hidden = !found.grounds.length;
    this.grounds.replaceChildren(...found.grounds.map((each) => wb.el("li", "", each)));
    this.cards.replaceChildren(...found.findings.map((one) => this.card(one)));
  }

  card(one) {
    const head = wb.el("div", "wb-row", null, wb.el("strong", "", one.title), wb.el("span", "wb-chip", { stop: "stops the run", warn: "warning", info: "hint" }[one.severity]),
      wb.el("span", "wb-faint wb-number", `since step ${one.since}`), one.is_heuristic && wb.el("span", "wb-chip wb-faint", "heuristic"), wb.el("span", "wb-space"), wb.el("span", "wb-faint", one.rule));
    if (one.is_heuristic) head.querySelector(".wb-faint.wb-chip").title = "The threshold is our experience with runs like this, not a law.";
    const figures = wb.el("div", "wb-figures wb-number", null, ...one.named.map(([name, value, about]) => this.figure(name, value, about)));
    const remedy = wb.el("p", "", null, wb.el("strong", "", "Try: "), wb.el("span", "", one.advice), ...one.changes.map((change) => wb.el("code", "wb-change", change)));
    if (one.wait) remedy.append(wb.el("span", "wb-faint", " " + one.wait));
    if (one.cure) remedy.append(" ", wb.button(one.cure, "", () => this.cure(one.rule)));
    const explains = one.symptoms.length ? wb.el("p", "wb-faint", `Explains as well: ${one.symptoms.join("; ")}.`) : null;
    const card = wb.el("article", "wb-finding", null, head, figures, wb.el("p", "", one.meaning), remedy, explains);
    card.dataset.severity = one.severity;
    return card;
  }

  figure(name, value, about) {
    const made = wb.el("span", "", `${name} ${value}`);
    if (about) made.title = about;
    return made;
  }
};
