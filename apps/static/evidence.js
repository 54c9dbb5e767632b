// The figures behind a reward model's verdict: margins, calibration, length, learning curve, annotators, worst disagreements.
const { el, put, number } = wb, root = element.querySelector(".wb");
const GREEN = "#2f9e63", RED = "#cf3f3f", BLUE = "#2f74d0", GREY = "#8a94a3", percent = (share) => `${Math.round(100 * share)} %`;
const figures = {
  margins: new wb.Figure("Margins", "For every held-out pair: the score of the reply that was preferred, less that of the other. Right of 0 the model agrees.", "Nearly all of it right of 0."),
  bins: new wb.Figure("Calibration", "Pairs grouped by how sure the model is, against how often it is right on them. A point on the line keeps its word.", "Near the line; below it is overconfident."),
  dots: new wb.Figure("Score and length", "Every held-out reply: how long it is, and its score. Green was ranked first.", "A cloud without a slope."),
  curve: new wb.Figure("Learning curve", "Held-out accuracy after learning from fewer rankings, with 95 % intervals.", "Still rising: more rankings would help. Flat: they would not."),
};
const who = el("section", "wb-box"), worst = el("section", "wb-box"), charts = el("div", "wb-grid", null, ...Object.values(figures).map((each) => each.box));
root.append(charts, who, worst);
let wanted = wb.asked("run"), seen = "";

function margins(found) {
  const right = found.at.map((at) => at > 0), total = found.count.reduce((a, b) => a + b, 0);
  const wrong = found.count.reduce((sum, count, place) => sum + (right[place] ? 0 : count), 0);
  figures.margins.show(`${total - wrong} of ${total} pairs the right way round, ${wrong} not. The further right, the surer.`,
    [{ type: "bar", x: found.at, y: found.count, width: found.width * 0.94, marker: { color: right.map((is) => (is ? GREEN : RED)) }, hovertemplate: "%{y} pairs<extra></extra>" }],
    { xaxis: { title: { text: "score of the preferred reply less the other's" } }, yaxis: { title: { text: "pairs" } } });
}

function calibration(bins, error) {
  figures.bins.show(`What it claims and what it gets differ by ${percent(error)} on average.`, [
    { type: "scatter", mode: "lines", x: [0.5, 1], y: [0.5, 1], line: { color: GREY, dash: "dot", width: 1 }, hoverinfo: "skip" },
    { type: "scatter", mode: "lines+markers", x: bins.map((b) => b[0]), y: bins.map((b) => b[1]), text: bins.map((b) => `${b[2]} pairs`), line: { color: BLUE, width: 1 },
      marker: { color: BLUE, size: bins.map((b) => 5 + 2 * Math.log2(1 + b[2])) }, hovertemplate: "claims %{x:.0%}, right on %{y:.0%} of %{text}<extra></extra>" }],
    { xaxis: { title: { text: "certainty claimed" }, range: [0.48, 1.02], tickformat: ".0%" }, yaxis: { title: { text: "right" }, range: [-0.04, 1.06], tickformat: ".0%" } });
}

function dots(found, link) {
  const side = (isBest, colour, name) => {
    const places = found.tokens.map((_, place) => place).filter((place) => found.best[place] === isBest);
    return { type: "scatter", mode: "markers", name, x: places.map((p) => found.tokens[p]), y: places.map((p) => found.score[p]), marker: { size: 5, color: colour, opacity: 0.65 },
      hovertemplate: `${name}: %{x} tokens, score %{y:.2f}<extra></extra>` };
  };
  const slope = Math.abs(link) < 0.3 ? "Length says little about the score" : `The ${link > 0 ? "longer" : "shorter"} a reply, the higher its score, more often than not`;
  figures.dots.show(`${slope} (rank correlation ${number(link)}).`, [side(false, GREY, "ranked lower"), side(true, GREEN, "ranked first")],
    { xaxis: { title: { text: "length in tokens" }, rangemode: "tozero" }, yaxis: { title: { text: "score" } } });
}

function curve(points, rankings) {
  if (points.length < 2) return figures.curve.show(`Would more rankings help? Set curve to 3 under Advanced and train again: it learns from an eighth, a quarter and a half of the ${rankings} rankings too, for about as much time again.`, [], {});
  const first = points[0][1], last = points.at(-1), middle = points.at(-2)[1];
  const said = last[1] > middle + 0.02 ? "Still rising with the last doubling: more rankings would probably help" : last[1] > first + 0.02 ? "Flat since the last doubling: more of the same rankings may not help much" : "It does not rise at all: look at the labels before you collect more";
  figures.curve.show(`${said}; the bars are 95 % intervals.`, [{ type: "scatter", mode: "lines+markers", x: points.map((p) => p[0]), y: points.map((p) => p[1]), line: { color: GREEN, width: 2 },
    error_y: { type: "data", symmetric: false, array: points.map((p) => p[3] - p[1]), arrayminus: points.map((p) => p[1] - p[2]), color: GREY, thickness: 1, width: 3 },
    hovertemplate: "%{x} rankings: %{y:.0%}<extra></extra>" }], { xaxis: { title: { text: "rankings learned from" }, type: "log", tickvals: points.map((p) => p[0]), ticktext: points.map((p) => String(p[0])) }, yaxis: { range: [0.3, 1.02], tickformat: ".0%" } });
}

function annotators(rows) {
  who.hidden = !rows.length;
  const head = el("div", "wb-chart-head", null, el("strong", "", "Who ranked"), wb.tip("From the held-out rankings: how often the model agrees with each annotator, how closely they follow its scores beside the others (1 is typical), and whether they favour what was shown first.", "Reliability near 1, no side seen."));
  const span = (row) => (row.low === null ? row.agrees : `${row.agrees} (${Math.round(100 * row.low)} to ${Math.round(100 * row.high)})`);
  who.replaceChildren(head, wb.table(["annotator", "prompts", "model agrees", "reliability", "side"],
    rows.map((row) => [row.name, String(row.prompts), span(row), row.reliability === null ? "–" : number(row.reliability), row.side])));
}

async function again(number, annotator, line) {
  const answer = await server.worth_again({ comparison: number, annotator });
  if (answer.error) return line.append(el("p", "wb-bad-text", answer.error));
  wb.open("preferences");
  document.dispatchEvent(new CustomEvent("wb-bring-back", { detail: number }));
}

function disagreement(found) {
  const side = (title, text) => el("div", "", null, el("div", "wb-side-head", null, el("span", "", title)), el("p", "wb-reply", text || "(nothing)"));
  const about = el("div", "wb-row", null, el("span", "wb-chip", `${found.claimed} sure of the opposite`), found.annotator && el("span", "wb-chip", `ranked by ${found.annotator}`), el("span", "wb-space"));
  const line = el("div", "wb-worst-row", null, el("p", "wb-prompt", found.prompt), about);
  if (found.comparison) about.append(wb.button("Rank again", "", () => again(found.comparison, found.annotator, line)));
  line.append(el("div", "wb-sides", null, side("preferred by the annotator", found.better), side("preferred by the model", found.worse)));
  return line;
}

function worstOnes(rows) {
  worst.hidden = !rows.length;
  const head = el("div", "wb-chart-head", null, el("strong", "", "Worst disagreements"), wb.tip("Held-out pairs that the model orders the other way round, the surest first. A slip of the annotator? Rank it again: its judgement is taken back and it waits on the Preferences tab."));
  worst.replaceChildren(head, el("div", "wb-worst", null, ...rows.map(disagreement)));
}

const tick = wb.poll(element, async () => {
  const found = await server.worth_figures({ run: wanted }), now = JSON.stringify(found);
  const wait = found.over ? 15000 : 4000;
  if (found.error || now === seen) return wait;
  root.hidden = !found.run;
  if (!found.run) return 4000;
  margins(found.margins);
  calibration(found.bins, found.ece);
  dots(found.dots, found.link || 0);
  curve(found.curve, found.rankings);
  annotators(found.annotators);
  worstOnes(found.worst);
  seen = now;
  return wait;
});
document.addEventListener("wb-run", (event) => ((wanted = event.detail), tick()));
