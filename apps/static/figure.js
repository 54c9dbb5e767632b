// One chart that is drawn whole each time: title, a plain sentence below it, and Plotly in the page's own colours.
wb.Figure = class {
  static LOCAL = { displaylogo: false, displayModeBar: false, showSendToCloud: false, plotlyServerURL: "", responsive: false };

  constructor(title, about, good) {
    this.plot = wb.el("div", "wb-plot");
    this.said = wb.el("p", "wb-faint");
    this.box = wb.el("section", "wb-chart wb-has", null, wb.el("div", "wb-chart-head", null, wb.el("strong", "", title), wb.tip(about, good)), this.plot, this.said);
    new ResizeObserver(() => this.fit()).observe(this.plot);
    new MutationObserver(() => this.isDrawn && Plotly.relayout(this.plot, this.colours())).observe(document.body, { attributeFilter: ["class"] });
  }

  colours() {
    return wb.Chart.palette();
  }

  show(said, traces, layout) {
    wb.put(this.said, said);
    this.plot.hidden = !traces.length;
    const titled = (axis) => (axis?.title ? { ...axis, title: { standoff: 4, ...axis.title } } : axis); // near its ticks, clear of the words below
    const axis = { zeroline: false, automargin: true, tickfont: { size: 11 }, nticks: 6 };
    this.traces = traces;
    this.layout = {
      margin: { l: 42, r: 8, t: 4, b: 46 }, height: 204, autosize: true, showlegend: false, dragmode: false, paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", font: { size: 11, family: "system-ui, sans-serif" }, hoverlabel: { font: { size: 11 } }, bargap: 0.06, ...layout,
      xaxis: { ...axis, ...titled(layout.xaxis), automargin: false }, yaxis: { ...axis, ...(layout.yaxis || {}) },
    };
    this.isDrawn = false;
    this.fit();
  }

  clear() {
    this.traces = null;
    this.plot.hidden = true;
  }

  // Plotly cannot measure a hidden tab: it draws when there is a width for the first time.
  fit() {
    if (!this.traces?.length || this.plot.clientWidth < 40) return;
    if (this.isDrawn) return Plotly.Plots.resize(this.plot);
    this.isDrawn = true;
    Plotly.react(this.plot, this.traces, wb.Chart.coloured(this.layout, this.colours()), wb.Figure.LOCAL);
  }
};
