// Several runs of one stage on the same charts; above them what their recipes differ in, and nothing else.
wb.Overlay = class {
  static REST = 15000; // milliseconds: whole curves are sent again when a run goes on

  constructor(server) {
    this.server = server;
    this.said = wb.el("p", "wb-faint", "");
    this.names = wb.el("div", "wb-row wb-overlay-names");
    this.knobs = wb.el("div", "wb-scroll");
    this.grid = wb.el("div", "wb-grid");
    this.box = wb.el("section", "wb-box wb-overlay", null, wb.el("div", "wb-chart-head", null, wb.el("strong", "", "Compared"), this.names), this.said, this.knobs, this.grid);
    this.figures = new Map();
    this.show([]);
  }

  show(runs) {
    this.runs = runs;
    this.tag = "";
    this.box.hidden = runs.length < 2;
    if (runs.length < 2) return;
    this.look();
  }

  async look() {
    if (this.box.hidden || (this.tag && Date.now() - this.lookedAt < wb.Overlay.REST)) return;
    this.lookedAt = Date.now();
    const runs = this.runs, found = await this.server.overlay({ runs, tag: this.tag });
    if (runs !== this.runs || found.same) return;
    this.knobs.hidden = this.grid.hidden = Boolean(found.error);
    if (found.error) return this.names.replaceChildren(), wb.put(this.said, found.error);
    this.tag = found.tag;
    this.names.replaceChildren(...found.runs.map((run, at) => {
      const dot = wb.el("i", "wb-line-dot");
      dot.style.background = found.colours[at];
      return wb.el("span", "wb-row", null, dot, wb.el("span", "", run));
    }));
    wb.put(this.said, found.knobs.length ? "Their recipes differ in:" : "Their recipes are the same.");
    this.knobs.hidden = !found.knobs.length;
    const table = wb.table(["knob", ...found.runs], found.knobs.map((knob) => [Object.assign(wb.el("span", "", knob.name), { title: knob.help }), ...knob.values.map((value) => value || "–")]));
    this.knobs.replaceChildren(table);
    const wanted = [...(found.frontier ? ["Reward against KL"] : []), ...found.charts.map((chart) => chart.title)];
    for (const title of this.figures.keys()) if (!wanted.includes(title)) this.figures.delete(title);
    const boxes = [];
    if (found.frontier) boxes.push(this.frontier(found));
    for (const chart of found.charts) boxes.push(this.chart(chart, found));
    if (boxes.some((box, at) => this.grid.children[at] !== box) || this.grid.childElementCount !== boxes.length) this.grid.replaceChildren(...boxes);
  }

  figure(title, about, good) {
    if (!this.figures.has(title)) this.figures.set(title, new wb.Figure(title, about, good));
    return this.figures.get(title);
  }

  chart(chart, { runs, colours }) {
    const figure = this.figure(chart.title, chart.about, chart.good);
    const traces = chart.lines.map(([x, y], at) => ({ type: "scatter", mode: x && x.length < 3 ? "lines+markers" : "lines", name: runs[at], x: x || [], y: y || [], line: { color: colours[at], width: 1.5 }, hovertemplate: "%{y:.4~g}" }));
    wb.later(() => figure.show("", traces, { dragmode: "zoom", uirevision: runs.join(), hovermode: "x unified", xaxis: { title: { text: "step" } }, yaxis: { title: { text: chart.unit } } }));
    return figure.box;
  }

  frontier({ runs, colours, frontier }) {
    const figure = this.figure("Reward against KL", "A point per step: what each policy earns against how far it has drifted from SFT. Grey: picking the best of n SFT replies, without any training.", "Up and to the left: much reward for little drift.");
    const traces = frontier.lines.map((line, at) => ({ type: "scatter", mode: "lines+markers", name: runs[at], x: line.map((one) => one[1]), y: line.map((one) => one[2]), text: line.map((one) => one[0]), line: { color: colours[at] + "55", width: 1 }, marker: { color: colours[at], size: 5 }, hovertemplate: "step %{text}: score %{y:.2f} at %{x:.2f} nats" }));
    wb.later(() => figure.show("Higher at the same KL is better; the grey line is best of n.", [...wb.Overdone.reference(frontier.best), ...traces], wb.Overdone.axes(runs.join())));
    return figure.box;
  }
};
