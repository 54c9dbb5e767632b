// One live chart: Plotly in the page's own colours, fed with deltas so that a zoom survives the next point.
wb.Chart = class {
  constructor(spec, metrics) {
    this.spec = spec;
    this.metrics = metrics;
    this.series = spec.keys.map((key) => ({ key, x: [], y: [] }));
    this.plot = wb.el("div", "wb-plot");
    const head = wb.el("div", "wb-chart-head", null, wb.el("strong", "", spec.title));
    const first = metrics[spec.keys[0]];
    if (spec.keys.length === 1 && first.unit) head.append(wb.el("span", "wb-unit", first.unit));
    head.append(wb.tip(first.help, first.healthy + this.limits()));
    this.verdict = wb.el("span", "wb-verdict-chip", "");
    this.verdict.hidden = true;
    head.append(this.verdict);
    const legend = wb.el("p", "wb-legend");
    for (const key of spec.keys) {
      if ((spec.band || []).includes(key)) continue;
      const dot = wb.el("i");
      dot.style.background = spec.colours[key];
      const { title, unit, help, healthy } = metrics[key], entry = wb.el("span", "", null, dot, wb.el("span", "", unit ? `${title} (${unit})` : title));
      entry.title = `${help} ${healthy}`;
      legend.append(entry);
    }
    this.box = wb.el("section", "wb-chart", null, head, wb.el("p", "wb-about", spec.about), spec.keys.length > 1 && legend, this.plot);
    this.drawn = this.isPlain = false;
    new ResizeObserver(() => this.fit()).observe(this.plot);
    new MutationObserver(() => this.drawn && Plotly.relayout(this.plot, this.colours())).observe(document.body, { attributeFilter: ["class"] });
  }

  colours() {
    const style = getComputedStyle(document.body);
    return { ...wb.Chart.palette(), ...this.decor(style.getPropertyValue("--block-background-fill"), style.getPropertyValue("--body-text-color-subdued")) };
  }

  static palette() {
    const style = getComputedStyle(document.body), line = style.getPropertyValue("--border-color-primary"), text = style.getPropertyValue("--body-text-color-subdued");
    const ground = style.getPropertyValue("--block-background-fill");
    const axis = (name) => ({ [`${name}.gridcolor`]: line, [`${name}.linecolor`]: line, [`${name}.tickfont.color`]: text });
    return { ...axis("xaxis"), ...axis("yaxis"), "font.color": text, "hoverlabel.bgcolor": ground, "hoverlabel.bordercolor": line, "modebar.color": text, "modebar.activecolor": text, "modebar.bgcolor": "rgba(0,0,0,0)" };
  }

  // A layout with colours whose names are paths ("xaxis.gridcolor") put where they belong: one drawing instead of two.
  static coloured(layout, colours) {
    for (const [path, value] of Object.entries(colours)) {
      const names = path.split("."), last = names.pop();
      names.reduce((inner, name) => (inner[name] ??= {}), layout)[last] = value;
    }
    return layout;
  }

  // Changed knobs as thin lines with a label; what a fork has from its parent lies under a veil.
  decor(ground, text) {
    const { changes, until, star } = this.course || { changes: [], until: 0, star: null }, at = new Map(), whole = { yref: "paper", y0: 0, y1: 1 };
    for (const one of changes) if (one.is_reached) at.set(one.step, [...(at.get(one.step) || []), one.label.replaceAll("<", "&lt;")]);
    const lines = [...at.keys()].map((step) => ({ type: "line", ...whole, x0: step, x1: step, line: { color: text, width: 1, dash: "dot" } }));
    const veil = until ? [{ type: "rect", ...whole, x0: 0, x1: until, fillcolor: ground, opacity: 0.6, line: { width: 0 }, layer: "above" }] : [];
    const green = this.good(), healthy = green ? [{ type: "rect", xref: "paper", x0: 0, x1: 1, y0: green[0], y1: green[1], fillcolor: "#2f9e63", opacity: 0.1, line: { width: 0 }, layer: "below" }] : [];
    if (star) at.set(star, [...(at.get(star) || []), "★ best gold"]), lines.push({ type: "line", ...whole, x0: star, x1: star, line: { color: "#2f74d0", width: 1, dash: "dot" } });
    let row = 0; // labels of near neighbours stand below each other
    const shift = (names) => (row = row + names.length > 6 ? names.length : row + names.length, -10 * (row - names.length));
    const label = { yref: "paper", y: 1, yanchor: "top", xanchor: "left", align: "left", showarrow: false, font: { size: 9, color: text }, captureevents: false };
    return { shapes: [...veil, ...lines, ...healthy], annotations: [...at].map(([step, names]) => ({ ...label, x: step, yshift: shift(names), text: names.join("<br>") })) };
  }

  mark(course, best) {
    const star = this.spec.keys.includes("held_gold") ? best : null; // the others need not be drawn again when it moves
    const kept = (course || star) && { changes: (course ? course.changes : []).filter((one) => one.is_reached), until: course ? course.until : 0, star }, seen = JSON.stringify(kept);
    if (seen === this.seenCourse) return;
    this.seenCourse = seen;
    this.course = kept;
    if (this.drawn) Plotly.relayout(this.plot, this.colours());
  }

  // The healthy band as limits now: some are relative to where the run began.
  edges() {
    const good = this.spec.good, first = this.series[0].y.find((value) => value !== null && value !== undefined);
    if (!good || first === undefined) return null;
    const move = { "": (edge) => edge, times: (edge) => edge * first, plus: (edge) => edge + first }[good.of];
    return [good.low === null ? -Infinity : move(good.low), good.high === null ? Infinity : move(good.high)];
  }

  // The band as far as the curve is near it: an axis that showed all of it would flatten the curve.
  good() {
    const edges = this.edges();
    if (!edges) return null;
    const [least, most] = this.spec.span || this.reach(), room = 0.35 * (most - least || Math.abs(most) || 1);
    const low = Math.max(edges[0], this.spec.span ? least : least - room), high = Math.min(edges[1], this.spec.span ? most : most + room);
    return low < high ? [low, high] : null;
  }

  reach() {
    let least = Infinity, most = -Infinity;
    for (const one of this.series) for (const value of one.y) if (value !== null) (least = Math.min(least, value)), (most = Math.max(most, value));
    return [least, most];
  }

  limits() {
    const good = this.spec.good;
    if (!good) return "";
    const edge = (value) => ({ "": number(value), times: `${number(value)} times the start`, plus: `the start ${value < 0 ? "−" : "+"} ${number(Math.abs(value))}` })[good.of], { number } = wb;
    const span = good.low === null ? `up to ${edge(good.high)}` : good.high === null ? `from ${edge(good.low)} up` : `${edge(good.low)} to ${edge(good.high)}`;
    return ` Green band: ${span} (${good.why}).`;
  }

  // Whether the chart's first curve lies in its band, and since when it does not; one odd step is no verdict.
  judge() {
    const edges = this.edges(), { x, y } = this.series[0];
    this.verdict.hidden = !edges || x.length < 3;
    if (this.verdict.hidden) return;
    const side = (value) => (value === null ? 0 : value < edges[0] ? -1 : value > edges[1] ? 1 : 0), now = side(y.at(-1)) && side(y.at(-1)) === side(y.at(-2)) ? side(y.at(-1)) : 0;
    let at = y.length - 1;
    while (now && at > 0 && side(y[at - 1]) === now) at--;
    wb.put(this.verdict, now ? `${now < 0 ? "below" : "above"} its band since step ${x[at]}` : "in its band");
    this.verdict.dataset.verdict = now ? "odd" : "well";
  }

  layout() {
    const axis = { zeroline: false, automargin: true, tickfont: { size: 11 } };
    return {
      margin: { l: 42, r: 8, t: 4, b: 22 }, height: 176, autosize: true, showlegend: false, hovermode: "x unified", dragmode: "zoom", uirevision: 1,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { size: 11, family: "system-ui, sans-serif" }, hoverlabel: { font: { size: 11 } },
      xaxis: { ...axis, rangemode: "tozero", nticks: 6 }, yaxis: { ...axis, nticks: 5, ...(this.spec.span ? { range: this.spec.span } : {}) },
    };
  }

  traces() {
    const [low, high] = this.spec.band || [];
    return this.series.map((one) => {
      const edge = one.key === low || one.key === high, colour = this.spec.colours[one.key];
      return {
        x: [...one.x], y: [...one.y], name: this.metrics[one.key].title, type: "scatter", mode: edge || this.isPlain ? "lines" : "lines+markers",
        line: { color: colour, width: edge ? 0 : 2 }, marker: { size: 4, color: colour }, hovertemplate: `%{y:.4~g} ${this.metrics[one.key].unit}`,
        ...(this.spec.isStacked ? { stackgroup: "whole", fillcolor: colour.slice(0, 7) + "55", line: { color: colour, width: 1 }, mode: "lines" } : {}),
        ...(one.key === high ? { fill: "tonexty", fillcolor: colour.slice(0, 7) + "26" } : {}),
      };
    });
  }

  clear() {
    for (const one of this.series) one.x = [], one.y = [];
    this.box.classList.remove("wb-has");
    this.verdict.hidden = true;
    this.band = "";
    this.isPlain = false;
    if (this.drawn) this.redraw();
    this.fit();
  }

  add(found) {
    const which = [], xs = [], ys = [];
    this.series.forEach((one, place) => {
      const more = found[one.key];
      if (!more || !more[0].length) return;
      one.x.push(...more[0]);
      one.y.push(...more[1]);
      which.push(place), xs.push(more[0]), ys.push(more[1]);
    });
    if (!which.length) return;
    this.box.classList.add("wb-has");
    const band = JSON.stringify((this.good() || []).map((edge) => Number(edge.toPrecision(2)))), wasPlain = this.isPlain;
    this.isPlain = this.series.some((one) => one.x.length > 60); // markers on more points take long and show nothing
    if (!this.drawn) this.fit();
    else if (this.isPlain !== wasPlain) this.redraw();
    else {
      Plotly.extendTraces(this.plot, { x: xs, y: ys }, which);
      if (band !== this.band) Plotly.relayout(this.plot, this.colours()); // a band that moves a little is no reason to draw thousands of points again
    }
    this.band = band;
    this.judge();
  }

  // Plotly cannot measure a hidden tab: it draws when there is a width for the first time.
  fit() {
    if (this.plot.clientWidth < 40) return;
    if (this.drawn) return this.plot.clientWidth !== this.width && ((this.width = this.plot.clientWidth), Plotly.Plots.resize(this.plot));
    if (!this.isDue) (this.isDue = true), wb.later(() => this.draw());
  }

  draw() {
    this.isDue = false;
    if (this.plot.clientWidth < 40) return;
    this.drawn = true;
    this.width = this.plot.clientWidth;
    this.redraw();
  }

  // All of it in one drawing; Plotly keeps a zoom as long as `uirevision` stays.
  redraw() {
    // Plotly 4 offers to upload a chart to its makers' servers unless told otherwise.
    const local = { displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: false };
    const bare = { ...local, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "zoom2d", "pan2d"] };
    Plotly.react(this.plot, this.traces(), wb.Chart.coloured(this.layout(), this.colours()), bare);
  }
};
