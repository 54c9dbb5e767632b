// Is the reward still worth anything? Held-out proxy and gold over drift, and reward against KL with best-of-n. Asked for only when a look is new and in sight.
wb.Overdone = class {
  constructor(server) {
    this.server = server;
    this.said = wb.el("p", "wb-overdone-said", "");
    this.gold = new wb.Figure("Proxy and gold over drift",
      "Each point is a look at held-out prompts. Green: the reward model's score, which PPO raises. Blue: the gold score, by a judge that it never learns from; bars are its standard error. Both as gains over SFT. To the right: further from SFT (root of the KL, as in Gao et al. 2022). Dotted: their curve d(α − β ln d), with its 95 % band.",
      "Blue rises with green. Blue that turns down while green goes on is over-optimisation; the star is the step to keep.");
    this.frontier = new wb.Figure("Reward against KL",
      "A point per step: what the policy earns against how far it has drifted from SFT. Grey: what picking the best of n SFT replies would earn, without any training.",
      "Up and to the left: much reward for little drift. Points that go right without going up pay for nothing. PPO needs more KL than best-of-n for the same score.");
    this.box = wb.el("section", "wb-samples", null, this.said, wb.el("div", "wb-grid", null, this.gold.box, this.frontier.box));
    new IntersectionObserver((seen) => ((this.isSeen = seen.at(-1).isIntersecting), this.look()), { rootMargin: "300px" }).observe(this.box);
    this.clear();
  }

  clear() {
    Object.assign(this, { run: "", count: -1, isStale: false });
    wb.put(this.said, "");
    for (const figure of [this.gold, this.frontier]) figure.clear();
    wb.put(this.gold.said, "The reward model is only a stand-in for people: pressed too hard, it is fooled. Here a second judge, which PPO never sees, says whether the gain is real. A point at each look: every sample_every steps.");
    wb.put(this.frontier.said, "Reward is bought with drift from SFT; this chart shows the price.");
  }

  update(run, count) {
    if (run === this.run && count === this.count) return;
    Object.assign(this, { run, count, isStale: true });
    this.look();
  }

  async look() {
    if (!this.isStale || !this.isSeen || !this.run) return;
    this.isStale = false;
    const found = await this.server.looks({ run: this.run });
    if (found.error || found.run !== this.run) return;
    wb.put(this.said, found.said);
    wb.later(() => this.drawGold(found));
    wb.later(() => this.drawFrontier(found));
  }

  drawGold({ looks, fit, star, gold_best: best }) {
    if (!looks.length) return;
    const at = (place) => looks.map((look) => look[place]), judged = looks.filter((look) => look[3] !== null), GREEN = "#2f9e63", BLUE = "#2f74d0", GREY = "#8a94a3", traces = [];
    if (fit) traces.push({ type: "scatter", x: [...fit.grid, ...[...fit.grid].reverse()], y: [...fit.high, ...[...fit.low].reverse()], fill: "toself", mode: "lines", line: { width: 0 }, fillcolor: BLUE + "22", hoverinfo: "skip" },
      { type: "scatter", x: fit.grid, y: fit.curve, mode: "lines", line: { color: BLUE, width: 1.5, dash: "dot" }, hoverinfo: "skip" });
    const zero = best.length ? best[0][2] : 0;
    if (best.length && judged.length) traces.push({ type: "scatter", x: best.map((one) => Math.sqrt(one[1])), y: best.map((one) => one[2] - zero), text: best.map((one) => `best of ${one[0]}, gold`), mode: "lines", line: { color: GREY, width: 1.5, dash: "dash" }, hovertemplate: "%{text}: %{y:+.2f}<extra></extra>" });
    traces.push({ type: "scatter", x: at(1), y: at(2), text: at(0), mode: "lines+markers", line: { color: GREEN, width: 1.5 }, marker: { size: 5 }, hovertemplate: "step %{text}: proxy %{y:+.2f}<extra></extra>" });
    traces.push({ type: "scatter", x: judged.map((look) => look[1]), y: judged.map((look) => look[3]), text: judged.map((look) => look[0]), mode: "markers", error_y: { type: "data", array: judged.map((look) => look[4]), color: BLUE + "88", thickness: 1, width: 2 },
      marker: { color: BLUE, line: { width: 0 }, size: judged.map((look) => (look[0] === star ? 14 : 6)), symbol: judged.map((look) => (look[0] === star ? "star" : "circle")) }, hovertemplate: "step %{text}: gold %{y:+.2f}<extra></extra>" });
    this.gold.show("Green: proxy. Blue: gold" + (star && judged.length > 1 ? `, ★ best at step ${star}.` : ".") + (best.length && judged.length ? " Grey: best of n, gold." : ""), traces,
      { dragmode: "zoom", uirevision: this.run, xaxis: { title: { text: "drift from SFT (root of KL, nats)" }, rangemode: "tozero" }, yaxis: { title: { text: "gain over SFT" } } });
  }

  drawFrontier({ steps, best }) {
    if (!steps.length) return;
    this.frontier.show("A point per step, fainter earlier." + (best.length ? " Grey: best of n, without training." : ""), [...wb.Overdone.reference(best),
      { type: "scatter", mode: "markers", x: steps.map((one) => one[1]), y: steps.map((one) => one[2]), text: steps.map((one) => one[0]), marker: { size: 6, color: "#2f9e63", line: { width: 0 }, opacity: steps.map((_, at) => 0.4 + (0.6 * (at + 1)) / steps.length) }, hovertemplate: "step %{text}: score %{y:.2f} at %{x:.2f} nats<extra></extra>" }],
      wb.Overdone.axes(this.run));
  }

  static reference(best) {
    if (!best.length) return [];
    return [{ type: "scatter", x: best.map((one) => one[1]), y: best.map((one) => one[2]), text: best.map((one) => one[0]), name: "best of n", mode: "lines+markers", line: { color: "#8a94a3", width: 1.5, dash: "dash" }, marker: { size: 4 }, hovertemplate: "best of %{text}: %{y:.2f} at %{x:.2f} nats<extra></extra>" }];
  }

  static axes(revision) {
    return { dragmode: "zoom", uirevision: revision, xaxis: { title: { text: "KL per reply (nats)" }, rangemode: "tozero" }, yaxis: { title: { text: "score" } } };
  }
};
