// A run's course: knobs that may change while it goes on, what was changed, and forks from its kept checkpoints.
wb.Steer = class {
  constructor(act) {
    this.act = act;
    this.lineage = wb.el("p", "wb-faint");
    this.list = wb.el("p", "wb-faint wb-number");
    this.live = this.row((knobs) => act({ verb: "change", knobs }));
    this.fork = new wb.ForkForm(act);
    this.box = wb.el("section", "wb-steer", null, this.live.box, this.lineage, this.list, this.fork.box);
    this.clear();
  }

  row(action) {
    const select = wb.el("select", "wb-picker"), value = Object.assign(wb.el("input", "wb-picker wb-number"), { type: "number", step: "any" });
    select.setAttribute("aria-label", "Change while it runs: knob");
    value.setAttribute("aria-label", "Change while it runs: value");
    const made = { select, value, knobs: [] };
    const fill = () => {
      const knob = made.knobs.find((one) => one.name === select.value);
      if (knob) (value.value = knob.value), (select.title = value.title = knob.help);
    };
    select.addEventListener("change", fill);
    const apply = () => value.value !== "" && action({ [select.value]: Number(value.value) });
    value.addEventListener("keydown", (event) => event.key === "Enter" && apply());
    made.box = wb.el("div", "wb-row", null, wb.el("strong", "", "Change while it runs"), select, value, wb.button("Apply", "", apply), wb.el("span", "wb-faint", "takes effect at the next step"));
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
    this.fork.clear();
  }

  show(found) {
    this.box.hidden = !found;
    if (!found) return;
    this.live.offer(found.knobs);
    this.fork.offer(found);
    wb.put(this.lineage, found.lineage);
    this.lineage.hidden = !found.lineage;
    wb.put(this.list, found.changes.map((one) => `${one.step === null ? "from the next step on" : `from step ${one.step}`}: ${one.text}`).join("  ·  "));
    this.list.hidden = !found.changes.length;
    this.box.hidden = ![this.live.box, this.lineage, this.list, this.fork.box].some((part) => !part.hidden);
  }
};

// A fork as its difference to the run: only the knobs that change are lines of the form; several values queue several forks.
wb.ForkForm = class {
  constructor(act) {
    this.act = act;
    this.step = wb.el("select", "wb-picker");
    this.step.setAttribute("aria-label", "Step to fork from");
    this.step.addEventListener("change", () => this.count());
    this.more = wb.el("select", "wb-picker");
    this.more.setAttribute("aria-label", "Knob to change in the fork");
    this.more.addEventListener("change", () => (this.add(this.more.value), (this.more.value = "")));
    this.lines = wb.el("div", "wb-differences");
    this.go = wb.button("Fork", "wb-main", () => this.queue());
    this.note = wb.el("span", "wb-faint");
    this.box = wb.el("details", "", null, wb.el("summary", "", "Fork or sweep this run"),
      wb.el("p", "wb-faint", "A fork goes on from a checkpoint with what you change here; everything else stays as it is in this run. Several values, such as 0.02, 0.05, 0.1, queue a run for each."),
      wb.el("div", "wb-row", null, wb.el("span", "", "Go on from"), this.step, wb.el("span", "", "and change"), this.more), this.lines, wb.el("div", "wb-row", null, this.go, this.note));
    this.clear();
  }

  clear() {
    this.box.hidden = true;
    this.knobs = [];
    this.changed = new Map(); // knob -> { line, input, was }
    this.lines.replaceChildren();
    this.seen = this.steps = "";
    this.count();
  }

  offer(found) {
    this.box.hidden = !found.forkable.length;
    const steps = JSON.stringify([found.kept, found.best]), seen = JSON.stringify(found.forkable);
    if (this.steps !== steps && document.activeElement !== this.step) {
      this.steps = steps;
      const chosen = this.step.value, name = (step) => (step === found.best ? `step ${step} ★ best by the held-out judge` : `step ${step}`);
      const option = (text, value) => Object.assign(wb.el("option", "", text), { value });
      this.step.replaceChildren(option("the start", 0), ...found.kept.map((step) => option(name(step), step)));
      this.step.value = [0, ...found.kept].includes(Number(chosen || -1)) ? chosen : found.best || found.kept.at(-1) || 0;
    }
    if (this.seen === seen || document.activeElement === this.more) return;
    this.seen = seen;
    this.knobs = found.forkable;
    for (const knob of this.knobs) if (this.changed.has(knob.name)) wb.put(this.changed.get(knob.name).was, `${knob.value} →`);
    this.menu();
  }

  menu() {
    const left = this.knobs.filter((one) => !this.changed.has(one.name));
    this.more.replaceChildren(Object.assign(wb.el("option", "", "a knob…"), { value: "" }), ...left.map((one) => Object.assign(wb.el("option", "", one.name), { value: one.name })));
    this.more.value = "";
  }

  add(name) {
    const knob = this.knobs.find((one) => one.name === name);
    if (!knob) return;
    const input = wb.el("input", "wb-picker wb-number"), was = wb.el("span", "wb-faint wb-number", `${knob.value} →`);
    input.setAttribute("aria-label", `${name} in the fork`);
    input.placeholder = "one value, or several";
    input.title = knob.help;
    input.addEventListener("input", () => this.count());
    input.addEventListener("keydown", (event) => event.key === "Enter" && this.queue());
    const away = wb.button("×", "", () => (line.remove(), this.changed.delete(name), this.menu(), this.count()));
    away.setAttribute("aria-label", `Leave ${name} as it is`);
    const line = wb.el("div", "wb-row", null, wb.el("code", "wb-change", name), was, input, away, wb.el("span", "wb-faint", knob.help));
    this.changed.set(name, { input, was });
    this.lines.append(line);
    this.menu();
    this.count();
    input.focus();
  }

  values() {
    return [...this.changed].map(([name, one]) => [name, one.input.value.split(",").map((part) => part.trim()).filter(Boolean)]);
  }

  count() {
    const values = this.values(), runs = values.reduce((product, [, list]) => product * list.length, 1), verb = this.step.value === "0" ? "start" : "fork";
    const isLacking = values.some(([, list]) => !list.length);
    this.go.disabled = isLacking;
    wb.put(this.go, runs > 1 ? `Queue ${runs} ${verb}s` : verb === "fork" ? "Fork" : "Start anew");
    wb.put(this.note, isLacking ? "each knob needs a value" : runs > 1 ? "one run per value, one after the other" : values.length || verb === "start" ? "" : "nothing is changed: it repeats this run from there");
  }

  async queue() {
    if (this.go.disabled) return;
    this.go.disabled = true; // one press, one fork
    await this.act({ verb: "fork", step: Number(this.step.value), knobs: Object.fromEntries(this.values().map(([name, list]) => [name, list.join(",")])) });
    this.count();
  }
};
