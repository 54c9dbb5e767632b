// Recorded rollouts of a PPO run: a slider over steps, that step's replies in a sortable list, the chosen one as a heatmap.
// Asks the server only while it is in sight, and never moves on under the eyes of somebody who has begun to read.
wb.Rollouts = class {
  static COLUMNS = [["score", "score"], ["gold", "rule"], ["kl", "KL"], ["tokens", "tokens"]];

  constructor(server) {
    this.server = server;
    this.sort = ["score", -1];
    this.slider = Object.assign(wb.el("input", "wb-slider"), { type: "range", min: 0, max: 0, value: 0 });
    this.slider.setAttribute("aria-label", "Step of the rollouts");
    this.label = wb.el("span", "wb-number", "");
    this.control = wb.el("label", "wb-row", null, wb.el("span", "wb-faint", "step"), this.slider, this.label);
    this.empty = wb.el("p", "wb-faint", "");
    this.list = wb.el("div", "wb-scroll wb-replies");
    this.heatmap = new wb.Heatmap();
    this.heatmap.onTouch = () => (this.follows = false);
    this.box = wb.el("section", "wb-samples wb-rollouts", null, wb.el("div", "wb-chart-head", null, wb.el("strong", "", "Rollouts: replies it learned from, token by token"),
      wb.tip("At each step PPO keeps a share of the replies that it practises on (knob record), as they were before the step's update."), this.control), this.empty, this.list, this.heatmap.box);
    this.slider.addEventListener("input", () => {
      this.follows = Number(this.slider.value) === this.steps.length - 1;
      this.ask(this.steps[Number(this.slider.value)]);
    });
    new IntersectionObserver((seen) => ((this.isSeen = seen.at(-1).isIntersecting), this.look()), { rootMargin: "200px" }).observe(this.box);
    this.clear();
  }

  clear() {
    Object.assign(this, { run: "", reached: -1, steps: [], step: -1, rows: [], place: -1, follows: true, isStale: false, asked: "", drawn: "" });
    this.control.hidden = this.list.hidden = this.heatmap.box.hidden = true;
    wb.put(this.empty, "While PPO practises it keeps a few of its replies with the figures of every token. Here you see which words earn, which drift from SFT, and which the value model did not expect.");
    this.empty.hidden = false;
  }

  update(run, step) {
    if (run === this.run && step === this.reached) return;
    this.run = run;
    this.reached = step;
    this.isStale = true;
    this.look();
  }

  look() {
    if (!this.isStale || !this.isSeen || !this.run) return;
    this.isStale = false;
    this.ask(this.follows ? -1 : this.step);
  }

  async ask(step) {
    const asked = (this.asked = `${this.run} ${step} ${this.reached}`), found = await this.server.rollouts({ run: this.run, step });
    if (asked !== this.asked) return;
    if (found.error) return wb.put(this.empty, found.error), void (this.empty.hidden = false);
    this.steps = found.steps;
    this.slider.max = Math.max(0, found.steps.length - 1);
    this.slider.value = found.steps.indexOf(found.step);
    this.control.hidden = found.steps.length < 2;
    this.empty.hidden = found.rows.length > 0;
    if (!found.keeps && !found.rows.length) wb.put(this.empty, "This run keeps no rollouts: its knob record is 0. With 0.25 the next run keeps a quarter of its replies, token by token.");
    this.list.hidden = this.heatmap.box.hidden = !found.rows.length;
    wb.put(this.label, String(found.step));
    if (!found.rows.length || (found.step === this.step && found.rows.length === this.rows.length)) return;
    this.step = found.step;
    this.rows = found.rows;
    this.place = this.sorted()[0].place;
    this.draw();
    this.open(this.place);
  }

  sorted() {
    const [key, way] = this.sort, value = (row) => row[key] ?? -Infinity;
    return [...this.rows].sort((a, b) => way * (value(a) - value(b)) || a.place - b.place);
  }

  draw() {
    const columns = wb.Rollouts.COLUMNS.filter(([key]) => this.rows.some((row) => row[key] !== null));
    const sorted = this.sorted();
    const table = wb.table(["reply", ...columns.map(() => ""), "end"], sorted.map((row) => [this.line(row), ...columns.map(([key]) => wb.number(row[key])), row.finish]));
    const focused = document.activeElement?.dataset.sort;
    columns.forEach(([key, title], at) => {
      const isOn = this.sort[0] === key, head = table.tHead.rows[0].cells[at + 1];
      const button = wb.button(title + (isOn ? (this.sort[1] < 0 ? " ↓" : " ↑") : ""), "wb-link wb-faint", () => this.order(key));
      button.dataset.sort = key;
      head.setAttribute("aria-sort", isOn ? (this.sort[1] < 0 ? "descending" : "ascending") : "none");
      head.append(button);
    });
    [...table.tBodies[0].rows].forEach((line, at) => line.classList.toggle("wb-on", sorted[at].place === this.place));
    this.list.replaceChildren(table);
    if (focused) this.list.querySelector(`[data-sort=${focused}]`)?.focus();
  }

  line(row) {
    const button = wb.button(row.reply.replace(/\s+/g, " ").trim() || "(nothing)", "wb-link wb-excerpt", () => {
      this.follows = false;
      this.place = row.place;
      for (const each of this.list.querySelectorAll("tr")) each.classList.toggle("wb-on", each.contains(button));
      this.open(row.place);
    });
    return button;
  }

  order(key) {
    this.sort = [key, this.sort[0] === key ? -this.sort[1] : -1];
    this.draw();
  }

  async open(place) {
    const wanted = (this.drawn = `${this.run} ${this.step} ${place}`), found = await this.server.tokens({ run: this.run, step: this.step, place });
    if (wanted === this.drawn && !found.error) this.heatmap.show(found);
  }
};
