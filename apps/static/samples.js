// Replies to the same few prompts, before and after: a slider over the steps at which they were taken.
wb.Samples = class {
  constructor(fetch) {
    this.fetch = fetch;
    this.steps = [];
    this.shown = null;
    this.follows = true;
    this.slider = Object.assign(wb.el("input", "wb-slider"), { type: "range", min: 0, max: 0, value: 0 });
    this.slider.setAttribute("aria-label", "Step of the samples on the right");
    this.label = wb.el("span", "wb-number", "");
    this.cards = wb.el("div", "wb-cards");
    this.empty = wb.el("p", "wb-faint", "While a run learns it answers the same few prompts again and again. Here you read how its answers change: numbers can be fooled, reading cannot.");
    this.control = wb.el("label", "wb-row", null, wb.el("span", "wb-faint", "step"), this.slider, this.label);
    this.control.hidden = true;
    this.box = wb.el("section", "wb-samples", null, wb.el("div", "wb-chart-head", null, wb.el("strong", "", "Same prompts, before and after"), this.control), this.empty, this.cards);
    this.slider.addEventListener("input", () => {
      this.follows = Number(this.slider.value) === this.steps.length - 1;
      this.show();
    });
  }

  clear() {
    this.steps = [];
    this.shown = null;
    this.follows = true;
    this.run = "";
    this.cards.replaceChildren();
    this.control.hidden = true;
    this.empty.hidden = false;
  }

  update(run, steps) {
    if (run === this.run && steps.length === this.steps.length) return;
    this.run = run;
    this.steps = [...steps];
    this.slider.max = Math.max(0, steps.length - 1);
    if (this.follows) this.slider.value = steps.length - 1;
    this.control.hidden = steps.length < 2;
    this.empty.hidden = steps.length > 0;
    if (steps.length) this.show();
  }

  async show() {
    const step = this.steps[Number(this.slider.value)], first = this.steps[0];
    wb.put(this.label, String(step));
    const wanted = `${this.run} ${step}`;
    if (this.shown === wanted) return;
    this.shown = wanted;
    const found = await this.fetch({ run: this.run, first, step });
    if (this.shown !== wanted || found.error) return;
    this.cards.replaceChildren(...found.samples.map((one) => this.card(one, first, step)));
  }

  card(one, first, step) {
    const sides = wb.el("div", "wb-sides");
    if (one.before && step !== first) sides.append(this.side(`step ${first}`, one.before, null));
    sides.append(this.side(`step ${step}`, one.after, step !== first && one.before ? one.before.reply : null));
    return wb.el("article", "wb-card", null, wb.el("p", "wb-prompt", one.prompt), sides);
  }

  side(title, one, before) {
    const head = wb.el("div", "wb-side-head", null, wb.el("span", "", title));
    for (const [name, value] of one.numbers) head.append(wb.el("span", "wb-chip", `${name} ${wb.number(value)}`));
    const text = wb.el("p", "wb-reply");
    if (before === null) text.textContent = one.reply || "(nothing)";
    else for (const [word, isNew] of wb.Samples.fresh(before, one.reply)) text.append(isNew ? wb.el("mark", "", word) : word);
    return wb.el("div", "wb-side", null, head, text);
  }

  // Words of `after` that are not in the longest common subsequence with `before`.
  static fresh(before, after) {
    const a = before.split(/(?<=\s)/).slice(0, 400), b = after.split(/(?<=\s)/).slice(0, 400), same = (i, j) => a[i].trim() === b[j].trim();
    const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) best[i][j] = same(i, j) ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    const out = [];
    for (let i = 0, j = 0; j < b.length; ) {
      if (i < a.length && same(i, j)) out.push([b[j], false]), i++, j++;
      else if (i < a.length && best[i + 1][j] >= best[i][j + 1]) i++;
      else out.push([b[j++], true]);
    }
    return out;
  }
};
