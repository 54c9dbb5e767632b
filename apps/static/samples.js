// The sample browser: a slider over steps, that step's replies in a sortable list, the chosen one beside what the same prompt got at another step, and
// as a heatmap of its tokens. Asks the server only while it is in sight, and never moves on under the eyes of somebody who has begun to read.
wb.Samples = class {
  static COLUMNS = [["score", "score"], ["gold", "gold"], ["kl", "KL"], ["tokens", "tokens"]];
  static REST = 5000; // milliseconds
  static SOURCES = {
    held: ["Held-out prompts", "The same prompts at every look, never practised on. Step 1 shows the SFT model, before any practice; every other look what its step left."],
    practice: ["Practice replies", "At each step PPO keeps a share of the replies that it practises on (knob record), as they were before the step's update."],
  };

  constructor(server) {
    this.server = server;
    this.sort = ["score", -1];
    this.slider = Object.assign(wb.el("input", "wb-slider"), { type: "range", min: 0, max: 0, value: 0 });
    this.slider.setAttribute("aria-label", "Step of the samples");
    this.label = wb.el("span", "wb-number", "");
    this.control = wb.el("label", "wb-row", null, wb.el("span", "wb-faint", "step"), this.slider, this.label);
    this.choices = wb.el("div", "wb-segments");
    this.choices.setAttribute("role", "group");
    this.choices.setAttribute("aria-label", "Which replies");
    for (const [name, [title]] of Object.entries(wb.Samples.SOURCES)) this.choices.append(Object.assign(wb.button(title, "", () => this.turn(name)), { name }));
    this.about = wb.el("p", "wb-faint", "");
    this.empty = wb.el("p", "wb-faint", "");
    this.list = wb.el("div", "wb-scroll wb-replies");
    this.detail();
    this.heatmap = new wb.Heatmap();
    this.heatmap.onTouch = () => (this.follows = false);
    const head = wb.el("div", "wb-chart-head", null, wb.el("strong", "", "Samples"), this.choices, this.control);
    this.box = wb.el("section", "wb-samples wb-rollouts", null, head, this.about, this.empty, this.list, this.card, this.heatmap.box);
    this.slider.addEventListener("input", () => {
      this.follows = Number(this.slider.value) === this.steps.length - 1;
      this.ask(this.steps[Number(this.slider.value)]);
    });
    new IntersectionObserver((seen) => ((this.isSeen = seen.at(-1).isIntersecting), this.look()), { rootMargin: "200px" }).observe(this.box);
    this.clear();
  }

  // The chosen reply beside another one to the same prompt.
  detail() {
    this.prompt = wb.el("p", "wb-prompt");
    this.against = wb.el("select", "wb-picker");
    this.against.setAttribute("aria-label", "Step to compare with");
    this.against.addEventListener("change", () => ((this.follows = false), (this.chosenAgainst = this.against.value), this.compare()));
    this.before = wb.el("p", "wb-reply");
    this.after = wb.el("p", "wb-reply");
    this.title = wb.el("span", "");
    this.left = wb.el("div", "wb-side", null, wb.el("div", "wb-side-head", null, this.against), this.before);
    this.card = wb.el("article", "wb-card", null, this.prompt, wb.el("div", "wb-sides", null, this.left, wb.el("div", "wb-side", null, wb.el("div", "wb-side-head", null, this.title), this.after)));
  }

  clear() {
    Object.assign(this, { run: "", reached: "", askedAt: 0, shown: "", steps: [], step: -1, rows: [], place: -1, follows: true, isStale: false, asked: "", drawn: "", source: "", chosenAgainst: "" });
    for (const part of [this.control, this.list, this.card, this.heatmap.box, this.choices, this.about]) part.hidden = true;
    wb.put(this.empty, "While a run learns it answers the same few prompts again and again, and PPO keeps some of the replies that it practises on with the figures of every token. Here you read how they change: numbers can be fooled, reading cannot.");
    this.empty.hidden = false;
  }

  // Held-out replies are new at a look, practice at every step.
  update(run, step, looks) {
    const reached = `${run} ${this.shown === "practice" || !looks ? step : looks}`;
    if (reached === this.reached) return;
    Object.assign(this, { run, reached, isStale: true });
    this.look();
  }

  // Steps that follow each other faster than anybody reads are not all asked for.
  look() {
    if (!this.isStale || !this.isSeen || !this.run) return;
    const rest = wb.Samples.REST - (Date.now() - this.askedAt);
    clearTimeout(this.again);
    if (rest > 0) return void (this.again = setTimeout(() => this.look(), rest));
    this.isStale = false;
    this.askedAt = Date.now();
    this.ask(this.follows ? -1 : this.step);
  }

  turn(source) {
    Object.assign(this, { source, step: -1, place: -1, follows: true, rows: [], steps: [], chosenAgainst: "" });
    this.ask(-1);
  }

  async ask(step) {
    const asked = (this.asked = `${this.source} ${step} ${this.reached}`), found = await this.server.replies({ run: this.run, source: this.source, step, known: this.steps.at(-1) ?? -1 });
    if (asked !== this.asked) return;
    if (found.error) return wb.put(this.empty, found.error), void (this.empty.hidden = false);
    this.source = found.source; // stays what it is, whatever comes later
    this.steps = this.steps.concat(found.steps);
    this.slider.max = Math.max(0, this.steps.length - 1);
    this.slider.value = this.steps.indexOf(found.step);
    this.control.hidden = this.steps.length < 2;
    this.empty.hidden = found.rows.length > 0;
    this.choices.hidden = found.sources.length < 2;
    for (const choice of this.choices.children) choice.setAttribute("aria-pressed", choice.name === found.source);
    this.about.hidden = this.list.hidden = this.card.hidden = !found.rows.length;
    wb.put(this.about, wb.Samples.SOURCES[found.source][1] + (found.record === 0 ? " This run keeps no practice replies: its knob record is 0." : ""));
    wb.put(this.label, String(found.step));
    if (!found.rows.length) return void (this.heatmap.box.hidden = true);
    if (found.step === this.step && found.source === this.shown && found.rows.length === this.rows.length) return;
    // A held-out prompt stays chosen from step to step; practice has other prompts each time, so there it is the best reply.
    const stays = found.source === "held" && found.source === this.shown && found.rows.some((row) => row.place === this.place);
    Object.assign(this, { step: found.step, rows: found.rows, shown: found.source });
    if (!stays) this.place = this.sorted()[0].place;
    this.draw();
    this.open(this.place);
  }

  sorted() {
    const [key, way] = this.sort, value = (row) => row[key] ?? -Infinity;
    return [...this.rows].sort((a, b) => way * (value(a) - value(b)) || a.place - b.place);
  }

  draw() {
    const columns = wb.Samples.COLUMNS.filter(([key]) => this.rows.some((row) => row[key] !== null && row[key] !== undefined)), hasEnd = this.rows.some((row) => row.finish);
    const sorted = this.sorted(), flat = (text) => text.replace(/\s+/g, " ").trim();
    const table = wb.table(["prompt", "reply", ...columns.map(() => ""), ...(hasEnd ? ["end"] : [])], sorted.map((row) => [wb.el("span", "wb-excerpt wb-faint", flat(row.prompt)), this.line(row, flat(row.reply)), ...columns.map(([key]) => wb.number(row[key])), ...(hasEnd ? [row.finish] : [])]));
    const focused = document.activeElement?.dataset.sort;
    columns.forEach(([key, title], at) => {
      const isOn = this.sort[0] === key, head = table.tHead.rows[0].cells[at + 2];
      const button = wb.button(title + (isOn ? (this.sort[1] < 0 ? " ↓" : " ↑") : ""), "wb-link wb-faint", () => this.order(key));
      button.dataset.sort = key;
      head.setAttribute("aria-sort", isOn ? (this.sort[1] < 0 ? "descending" : "ascending") : "none");
      head.append(button);
    });
    [...table.tBodies[0].rows].forEach((line, at) => line.classList.toggle("wb-on", sorted[at].place === this.place));
    this.list.replaceChildren(table);
    if (focused) this.list.querySelector(`[data-sort=${focused}]`)?.focus();
  }

  line(row, text) {
    const button = wb.button(text || "(nothing)", "wb-link wb-excerpt", () => {
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
    const wanted = (this.drawn = `${this.run} ${this.shown} ${this.step} ${place}`), found = await this.server.reply({ run: this.run, source: this.shown, step: this.step, place });
    if (wanted !== this.drawn || found.error) return;
    this.found = found;
    wb.put(this.prompt, found.prompt);
    wb.put(this.title, `step ${found.step}`);
    this.heatmap.box.hidden = !found.pieces;
    if (found.pieces) this.heatmap.show(found);
    this.offer(found.others);
    this.compare();
  }

  // Steps with the same prompt: the first look is the SFT model's own reply.
  offer(others) {
    const name = (step) => (step === 1 && this.shown === "held" ? "SFT, before practice" : `step ${step}`);
    this.against.replaceChildren(...others.map((step) => Object.assign(wb.el("option", "", name(step)), { value: step })));
    if (others.length) this.against.value = others.includes(Number(this.chosenAgainst)) ? this.chosenAgainst : others[0];
    this.left.hidden = !others.length;
    this.card.hidden = !others.length && Boolean(this.found.pieces);
  }

  async compare() {
    const { found } = this, at = Number(this.against.value);
    if (!this.against.options.length) return wb.put(this.after, found.reply || "(nothing)");
    const other = await this.server.other({ run: this.run, source: this.shown, step: found.step, place: found.place, at });
    if (found !== this.found || other.error || Number(this.against.value) !== other.at) return;
    // Words that only one of the two has: gone on the left, new on the right, the later step always on the right.
    this.fill(this.before, wb.Samples.fresh(found.reply, other.reply));
    this.fill(this.after, wb.Samples.fresh(other.reply, found.reply));
  }

  fill(box, words) {
    box.replaceChildren(...words.map(([word, isNew]) => (isNew ? wb.el("mark", "", word) : document.createTextNode(word))));
    if (!words.length) box.textContent = "(nothing)";
  }

  // Words of `after` that are not in the longest common subsequence with `before`.
  static fresh(before, after) {
    const a = before.split(/(?<=\s)/).filter(Boolean).slice(0, 400), b = after.split(/(?<=\s)/).filter(Boolean).slice(0, 400), same = (i, j) => a[i].trim() === b[j].trim();
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
