// A run's course: knobs that may change while it goes on, what was changed, and forks from its kept checkpoints.
wb.Steer = class {
  constructor(act) {
    this.act = act;
    this.lineage = wb.el("p", "wb-faint");
    this.list = wb.el("p", "wb-faint wb-number");
    this.live = this.row("Change while it runs", "Apply", "takes effect at the next step", (knobs) => this.act({ verb: "change", knobs }));
    this.step = wb.el("select", "wb-picker");
    this.step.setAttribute("aria-label", "Step to fork from");
    this.fork = this.row("Fork with", "Fork", "a new run that goes on from there", (knobs) => this.act({ verb: "fork", knobs, step: Number(this.step.value) }));
    this.fork.box.firstChild.after(wb.el("span", "wb-faint", "from step"), this.step);
    this.forks = wb.el("details", "", null, wb.el("summary", "", "Fork this run"), this.fork.box);
    this.box = wb.el("section", "wb-steer", null, this.live.box, this.lineage, this.list, this.forks);
    this.clear();
  }

  row(title, verb, note, action) {
    const select = wb.el("select", "wb-picker"), value = Object.assign(wb.el("input", "wb-picker wb-number"), { type: "number", step: "any" });
    select.setAttribute("aria-label", `${title}: knob`);
    value.setAttribute("aria-label", `${title}: value`);
    const made = { select, value, knobs: [] };
    const fill = () => {
      const knob = made.knobs.find((one) => one.name === select.value);
      if (knob) (value.value = knob.value), (select.title = value.title = knob.help);
    };
    select.addEventListener("change", fill);
    const apply = () => value.value !== "" && action({ [select.value]: Number(value.value) });
    value.addEventListener("keydown", (event) => event.key === "Enter" && apply());
    made.box = wb.el("div", "wb-row", null, wb.el("strong", "", title), select, value, wb.button(verb, "", apply), wb.el("span", "wb-faint", note));
    // A knob that is being set keeps what a person typed while polls go on.
    made.offer = (knobs) => {
      made.box.hidden = !knobs.length;
      const seen = JSON.stringify(knobs);
      if (made.seen === seen || made.box.contains(document.activeElement)) return;
      made.seen = seen;
      made.knobs = knobs;
      const chosen = select.value;
      select.replaceChildren(...knobs.map((one) => Object.assign(wb.el("option", "", one.name), { value: one.name })));
      select.value = knobs.some((one) => one.name === chosen) ? chosen : (knobs.find((one) => one.name === "kl_weight") || knobs[0] || {}).name;
      fill();
    };
    return made;
  }

  clear() {
    this.box.hidden = true;
  }

  show(found) {
    this.box.hidden = !found;
    if (!found) return;
    this.live.offer(found.knobs);
    this.fork.offer(found.forkable);
    this.forks.hidden = !found.kept.length;
    const steps = JSON.stringify(found.kept);
    if (this.steps !== steps && document.activeElement !== this.step) {
      this.steps = steps;
      this.step.replaceChildren(...found.kept.map((step) => Object.assign(wb.el("option", "", String(step)), { value: step })));
      if (found.kept.length) this.step.value = found.kept.at(-1);
    }
    wb.put(this.lineage, found.lineage);
    this.lineage.hidden = !found.lineage;
    wb.put(this.list, found.changes.map((one) => `${one.step === null ? "from the next step on" : `from step ${one.step}`}: ${one.text}`).join("  ·  "));
    this.list.hidden = !found.changes.length;
    this.box.hidden = ![this.live.box, this.lineage, this.list, this.forks].some((part) => !part.hidden);
  }
};
