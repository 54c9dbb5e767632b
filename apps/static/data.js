// Corpora on the left, their rows in the middle, the chosen row on the right, below how long they are. Rows are other people's text: textContent only.
const root = element.querySelector(".wb"), { el, button, put } = wb, many = (count, what) => `${wb.number(count)} ${what}${count === 1 ? "" : "s"}`;
let books = [], key = "", page = 0, chosen = null, asked = 0, timer = 0, filter = "", cut = 0, look = null, view = "talk", isEditing = false;

const shelf = el("nav", "dt-shelf"), middle = el("div", "dt-middle"), row = el("div", "dt-row"), search = el("input", "dt-search"), head = el("div", "dt-head");
const chips = el("div", "dt-chips"), about = el("p", "wb-faint dt-about"), list = el("div", "dt-list"), pager = el("div", "wb-row"), notes = el("p", "wb-faint dt-notes"), sizes = el("section", "dt-sizes");
shelf.setAttribute("aria-label", "Corpora");
row.setAttribute("aria-label", "Chosen row");
row.dataset.testid = "data-row";
chips.setAttribute("aria-label", "Filters");
search.type = "search";
search.placeholder = "Search in the rows";
search.setAttribute("aria-label", "Search in the rows");
middle.append(head, chips, about, search, list, pager);
root.append(shelf, middle, row, sizes, notes);

const here = () => books.find((each) => each.key === key) || {};

const bring = button("Bring your own file", "dt-bring", () => document.querySelector("#import-file")?.scrollIntoView({ behavior: "smooth", block: "center" }));

function drawShelf() {
  shelf.replaceChildren(bring, ...books.map((book) => {
    const made = button("", "dt-book", () => choose(book.key));
    made.append(el("strong", "", book.name), el("span", "dt-count", wb.number(book.rows)), el("small", "wb-faint", `${book.shape}, ${book.part}`));
    if (book.rejected) made.append(el("small", "dt-left-out", `${wb.number(book.rejected)} left out`));
    made.setAttribute("aria-current", String(book.key === key));
    return made;
  }));
}

async function refresh() {
  const found = await server.shelf_list({});
  if (found.error) return put(notes, found.error);
  const before = JSON.stringify(books);
  books = found.books;
  if (!books.some((book) => book.key === key)) choose(books[0].key);
  else if (before !== JSON.stringify(books)) drawShelf(), isEditing || read();
}

function choose(wanted) {
  [key, page, chosen, filter, cut, look, isEditing] = [wanted, 0, null, "", 0, null, false];
  search.value = "";
  drawShelf();
  sizes.replaceChildren();
  read();
  const box = document.querySelector("#data-chosen textarea, #data-chosen input");
  if (box) (box.value = key), box.dispatchEvent(new Event("input", { bubbles: true }));
}

async function read() {
  const turn = ++asked, found = await server.shelf_rows({ key, page, filter, cut, search: search.value });
  if (turn !== asked) return; // a later question is under way
  if (found.error) return put(notes, found.error);
  page = found.page;
  drawHead();
  put(notes, here().notes || "");
  list.replaceChildren(...found.rows.map(line));
  if (!found.rows.length) list.append(el("p", "wb-faint dt-none", search.value ? "No row holds these words." : filter ? "No row is left here." : "No rows."));
  const place = el("span", "wb-faint", `${many(found.total, "row")}${search.value ? " found" : ""}, page ${page + 1} of ${found.pages}`);
  pager.replaceChildren(turnPage("Back", -1, page > 0), place, turnPage("Next", 1, page + 1 < found.pages));
  const first = found.rows.find((each) => chosen && each.number === chosen.number) || found.rows[0];
  first ? open(first) : row.replaceChildren();
  if (!look) put(chips, "Looking through the rows …");
  const seen = await server.shelf_look({ key, cut });
  if (turn !== asked) return;
  look = seen.error ? null : seen;
  seen.error ? put(notes, seen.error) : (drawChips(), drawSizes());
}

function drawHead() {
  const book = here(), parts = [el("strong", "", book.name), el("span", "wb-faint", ` ${book.shape}, ${book.part} `)];
  if (book.taken_out) parts.push(el("p", "wb-faint dt-about", `${many(book.taken_out, "row")} taken out last. `, button("Put back", "wb-link", () => change("shelf_restore", {}))));
  head.replaceChildren(...parts);
}

// Every problem is a filter; so is the side of the split.
function drawChips() {
  const chip = (name, text, tip) => {
    const made = button(text, "dt-chip", () => ((filter = filter === name ? "" : name), (page = 0), (chosen = null), read()));
    made.setAttribute("aria-pressed", String(filter === name));
    made.title = tip;
    return made;
  };
  const problems = look.filters.map((each) => chip(each.name, `${wb.number(each.rows)} ${each.title}`, each.about));
  const kept = look.held_out ? [chip("held_out", `${wb.number(look.held_out)} held out`, "kept aside to measure, never trained on")] : [];
  chips.replaceChildren(...kept, ...problems);
  if (!problems.length && look.rows) chips.append(el("span", "wb-faint", "No problem found."));
  const now = look.filters.find((each) => each.name === filter);
  about.replaceChildren();
  if (filter === "held_out") put(about, `${many(look.held_out, "row")} of ${many(look.held_out_prompts, "prompt")}, drawn by a hash of the prompt, measure and never train: all rows of a prompt are on one side.`);
  if (!now) return;
  about.append(`These rows ${now.name === "long" ? "are " : now.name === "copies" ? "are " : ""}${now.title}: ${now.about}. `);
  if (here().can_edit && now.extra) about.append(wb.sure(`Take ${now.extra === now.rows ? "them" : wb.number(now.extra)} out`, `Take ${wb.number(now.extra)} out?`, () => change("shelf_drop", { filter, cut, stamp: look.stamp })));
}

function drawSizes() {
  const { bars, width, over, measured, median, longest } = look.lengths, most = Math.max(...bars, 1), limit = look.cut;
  if (!bars.length) return sizes.replaceChildren();
  const plot = el("div", "dt-plot"), end = bars.length * width;
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", `Lengths in ${look.unit}: median ${median}, longest ${longest}`);
  bars.forEach((count, place) => {
    const bar = el("i", limit && place * width >= limit ? "dt-over" : "");
    bar.style.height = count ? `max(2px, ${(100 * count) / most}%)` : "0";
    const slot = el("span", "", null, bar);
    slot.title = `${wb.number(place * width)} to ${wb.number((place + 1) * width - 1)} ${look.unit}: ${many(count, "row")}`;
    plot.append(slot);
  });
  if (limit && look.unit === "tokens") {
    const mark = el("b", limit > 0.8 * end ? "dt-cut dt-left" : "dt-cut", null, el("small", "", `cut-off ${wb.number(limit)}`));
    mark.style.left = `${(100 * limit) / end}%`;
    plot.append(mark);
  }
  const scale = el("div", "dt-scale wb-faint", null, el("span", "", "0"), el("span", "", wb.number(Math.round(end / 2))), el("span", "", wb.number(end)));
  const part = measured < look.rows ? `, measured on ${wb.number(measured)} rows` : "";
  const said = el("p", "wb-faint", `Half have at most ${wb.number(median)}, the longest has ${wb.number(longest)}${part}. ${look.unit === "tokens" ? `As ${look.model} counts them.` : `Words: the tokenizer of ${look.model} is not on this machine yet; it comes with the first run.`}`);
  sizes.replaceChildren(el("div", "dt-sizes-head", null, el("strong", "", `Length in ${look.unit}`), limit && look.unit === "tokens" ? cutBox(over) : null), plot, scale, said);
}

function cutBox(over) {
  const box = el("input", "dt-number");
  box.type = "number";
  box.min = 16;
  box.value = look.cut;
  box.setAttribute("aria-label", "Cut-off in tokens");
  box.addEventListener("change", () => ((cut = Math.max(16, Number(box.value) || 0)), read()));
  const is = over === 1 ? "is" : "are", has = over === 1 ? "has" : "have";
  const what = here().shape === "preferences" ? `${has} a longer reply, which the reward model leaves out` : `${is} longer, which SFT leaves out`;
  return el("label", "wb-faint", null, el("span", "", "Cut-off (max_tokens) "), box, el("span", "", ` ${many(over, "row")} ${what}`));
}

function turnPage(text, by, enabled) {
  const made = button(text, "", () => ((page += by), (chosen = null), read()));
  made.disabled = !enabled;
  return made;
}

function line(found) {
  const made = button("", "dt-line", () => open(found));
  made.append(el("span", "wb-faint wb-number", found.number), el("span", "dt-title", found.title));
  if (found.is_held_out) made.append(el("small", "dt-kept wb-faint", "held out"));
  made.dataset.number = found.number;
  return made;
}

// --- the chosen row, in three views

function open(found) {
  chosen = found;
  isEditing = false;
  for (const each of list.children) each.setAttribute("aria-current", String(Number(each.dataset.number) === found.number));
  const twin = found.twin && found.twin !== found.number ? `, the same as row ${found.twin}` : "";
  const top = el("div", "wb-row dt-top", null, el("span", "wb-faint", `Row ${found.number}, ${many(found.words, "word")}${found.is_held_out ? ", held out" : ""}${twin}`));
  if (here().can_edit) top.append(wb.sure("Take out", "Take it out?", () => change("shelf_drop", { number: found.number, mark: found.mark })));
  const tabs = el("div", "dt-views");
  tabs.setAttribute("role", "tablist");
  const body = el("div", "dt-body");
  for (const [name, text] of [["talk", "Conversation"], ["tokens", "Tokens"], ["length", "Length"]]) {
    const tab = button(text, "dt-view", () => ((view = name), open(found)));
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-selected", String(view === name));
    tabs.append(tab);
  }
  row.replaceChildren(top, tabs, body);
  view === "talk" ? body.replaceChildren(...conversation(found)) : spell(found, body);
}

function conversation(found) {
  const names = { user: "Person", assistant: "Assistant", text: "Text", tool: "Tool" }, can = here().can_edit && found.is_whole;
  const change_of = (text, place) => (can ? button("Edit", "wb-link", (event) => edit(event.target.parentNode, found, place, text)) : null);
  const turns = found.turns.map((turn, place) => {
    if (turn.role === "system") return el("details", "wb-faint", null, el("summary", "", "System message"), el("p", "dt-text", turn.content), change_of(turn.content, place));
    return el("div", `dt-turn dt-${turn.role}`, null, el("small", "wb-faint", names[turn.role] || turn.role), change_of(turn.content, place), el("p", "dt-text", turn.content));
  });
  return [...turns, ...found.ranked.map((reply) =>
    el("div", `dt-turn dt-assistant${reply.place === 1 ? " dt-best" : ""}`, null, el("small", "wb-faint", rank(reply.place)), change_of(reply.text, reply.index), el("p", "dt-text", reply.text || "(an empty reply)")))];
}

const rank = (place) => (place ? `Rank ${place}${place === 1 ? ", best" : ""}` : "Not ranked");

async function spell(found, body) {
  const told = await server.shelf_tokens({ key, cut, number: found.number, mark: found.mark });
  if (chosen !== found || view === "talk") return;
  if (told.error) return body.replaceChildren(el("p", "wb-faint", told.error));
  const isRanking = found.ranked.length > 0, trains = isRanking ? "compared" : "trained";
  body.replaceChildren(...(view === "tokens" ? told.sequences.flatMap((each) => tokens(each, isRanking, trains)) : measures(told, isRanking, trains)));
}

function tokens({ place, pieces, mask, tokens, trained }, isRanking, trains) {
  const said = `${isRanking ? rank(place) + ": " : ""}${wb.number(tokens)} tokens, ${trained ? `${wb.number(trained)} of them ${trains} (marked)` : "none of them trained"}`;
  const text = el("p", "dt-tokens"), shown = (piece) => piece.replace(/\n/g, "↵\n").replace(/\t/g, "⇥");
  let run = null;
  pieces.forEach((piece, at) => {
    if (!run || mask[at] !== mask[at - 1]) text.append((run = el(mask[at] ? "mark" : "span")));
    run.append(el("span", "dt-token", shown(piece)));
  });
  if (pieces.length < tokens) text.append(` … ${wb.number(tokens - pieces.length)} more`);
  const mark = text.querySelector("mark"), jump = mark && button("Go to the marked part", "wb-link", () => (row.scrollTop += mark.getBoundingClientRect().top - row.getBoundingClientRect().top - 60));
  return [el("small", "wb-faint", said + " ", jump), text];
}

function measures({ sequences, cut: limit, model }, isRanking, trains) {
  const rows = sequences.map((each) => [isRanking ? rank(each.place) : "", wb.number(each.tokens - each.trained), wb.number(each.trained), wb.number(each.tokens), !limit ? "" : each.tokens > limit ? "too long" : "fits"]);
  const longest = Math.max(...sequences.map((each) => each.tokens)), verdict = !limit ? "Nothing is left out for its length here." : longest > limit ? `Longer than the cut-off of ${wb.number(limit)} tokens: what is too long is left out of training.` : `Within the cut-off of ${wb.number(limit)} tokens.`;
  return [wb.table(["", "before", trains, "together", ""], rows), el("p", "wb-faint", `${verdict} As ${model} counts them.`)];
}

// One text of the row becomes a box; nothing is sent before Save, and polls leave it alone.
function edit(holder, { number, mark }, place, was) {
  const box = el("textarea", "dt-search dt-edit"), keep = button("Save", "", () => change("shelf_edit", { number, mark, place, text: box.value }));
  box.value = was;
  box.rows = Math.min(14, 2 + Math.ceil(was.length / 60));
  box.setAttribute("aria-label", "New text");
  isEditing = true;
  holder.replaceChildren(box, keep, button("Cancel", "", () => read()));
  box.focus();
}

async function change(verb, question) {
  const done = await server[verb]({ key, ...question });
  isEditing = false;
  await refresh();
  await read();
  if (done.error) put(notes, done.error);
}

search.addEventListener("input", () => (clearTimeout(timer), (timer = setTimeout(() => ((page = 0), (chosen = null), read()), 250))));
function onCorpus(event) {
  if (!element.isConnected) return document.removeEventListener("wb-corpus", onCorpus);
  if (event.detail) refresh().then(() => choose(`import:${event.detail}`));
}
document.addEventListener("wb-corpus", onCorpus);
wb.poll(element, async () => (await refresh(), 5000)); // rankings grow, and a notebook may import
