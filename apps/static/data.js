// Corpora on the left, their rows in the middle, the chosen row on the right. Rows are other people's text: textContent only.
const root = element.querySelector(".wb"), { el, button, put } = wb;
let books = [], key = "", page = 0, chosen = 0, asked = 0, timer = 0, twins = false, isEditing = false;

const shelf = el("nav", "dt-shelf"), middle = el("div", "dt-middle"), row = el("div", "dt-row"), search = el("input", "dt-search"), head = el("div", "dt-head");
const list = el("div", "dt-list"), pager = el("div", "wb-row"), notes = el("p", "wb-faint dt-notes");
shelf.setAttribute("aria-label", "Corpora");
row.setAttribute("aria-label", "Chosen row");
row.dataset.testid = "data-row";
search.type = "search";
search.placeholder = "Search in the rows";
search.setAttribute("aria-label", "Search in the rows");
middle.append(head, search, list, pager, notes);
root.append(shelf, middle, row);

function drawShelf() {
  shelf.replaceChildren(...books.map((book) => {
    const made = button("", "dt-book", () => choose(book.key));
    made.append(el("strong", "", book.name), el("span", "dt-count", wb.number(book.rows)), el("small", "wb-faint", `${book.part === "imported" ? book.shape + ", imported" : book.shape + ", " + book.part}`));
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
  key = wanted;
  page = 0;
  chosen = 0;
  twins = isEditing = false;
  search.value = "";
  drawShelf();
  read();
  const box = document.querySelector("#data-chosen textarea, #data-chosen input");
  if (box) (box.value = key), box.dispatchEvent(new Event("input", { bubbles: true }));
}

async function read() {
  const turn = ++asked, found = await server.shelf_rows({ key, page, twins, search: search.value });
  if (turn !== asked) return; // a later question is under way
  const book = books.find((each) => each.key === key);
  if (found.error) return put(notes, found.error);
  page = found.page;
  const copies = twins || found.copies ? button(twins ? "Show all rows" : `${wb.number(found.copies)} copies`, "wb-link", () => ((twins = !twins), (page = chosen = 0), read())) : null;
  head.replaceChildren(...[el("strong", "", book.name), el("span", "wb-faint", ` ${book.shape}, ${book.part} `), copies].filter(Boolean));
  put(notes, book.notes);
  list.replaceChildren(...found.rows.map(line));
  if (!found.rows.length) list.append(el("p", "wb-faint dt-none", search.value ? "No row holds these words." : twins ? "No row occurs twice." : "No rows."));
  const place = el("span", "wb-faint", `${wb.number(found.total)} row${found.total === 1 ? "" : "s"}${search.value ? " found" : ""}, page ${page + 1} of ${found.pages}`);
  pager.replaceChildren(turnPage("Back", -1, page > 0), place, turnPage("Next", 1, page + 1 < found.pages));
  const first = found.rows.find((each) => each.number === chosen) || found.rows[0];
  first ? open(first) : row.replaceChildren();
}

function turnPage(text, by, enabled) {
  const made = button(text, "", () => ((page += by), (chosen = 0), read()));
  made.disabled = !enabled;
  return made;
}

function line(found) {
  const made = button("", "dt-line", () => open(found));
  made.append(el("span", "wb-faint wb-number", found.number), el("span", "dt-title", found.title));
  made.dataset.number = found.number;
  return made;
}

function open(found) {
  chosen = found.number;
  isEditing = false;
  for (const each of list.children) each.setAttribute("aria-current", String(Number(each.dataset.number) === chosen));
  const names = { user: "Person", assistant: "Assistant", text: "Text", tool: "Tool" }, book = books.find((each) => each.key === key);
  const twin = found.twin && found.twin !== found.number ? `, the same as row ${found.twin}` : "";
  const top = el("div", "wb-row", null, el("span", "wb-faint", `Row ${found.number}, ${found.words} words${twin}`));
  if (book && book.can_edit) top.append(wb.sure("Take out", "Take it out?", () => change("shelf_drop", { number: found.number, mark: found.mark })));
  const change_of = (text, place) => (book && book.can_edit && found.is_whole ? button("Edit", "wb-link", (event) => edit(event.target.parentNode, found, place, text)) : null);
  row.replaceChildren(top, ...found.turns.map((turn, place) => {
    if (turn.role === "system") return el("details", "wb-faint", null, el("summary", "", "System message"), el("p", "dt-text", turn.content), change_of(turn.content, place));
    return el("div", `dt-turn dt-${turn.role}`, null, el("small", "wb-faint", names[turn.role] || turn.role), change_of(turn.content, place), el("p", "dt-text", turn.content));
  }), ...found.ranked.map((reply) =>
    el("div", `dt-turn dt-assistant${reply.place === 1 ? " dt-best" : ""}`, null, el("small", "wb-faint", reply.place ? `Rank ${reply.place}${reply.place === 1 ? ", best" : ""}` : "Not ranked"), change_of(reply.text, reply.index), el("p", "dt-text", reply.text || "(an empty reply)"))));
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
  await read();
  if (done.error) put(notes, done.error);
}

search.addEventListener("input", () => (clearTimeout(timer), (timer = setTimeout(() => ((page = 0), (chosen = 0), read()), 250))));
function onCorpus(event) {
  if (!element.isConnected) return document.removeEventListener("wb-corpus", onCorpus);
  if (event.detail) refresh().then(() => choose(`import:${event.detail}`));
}
document.addEventListener("wb-corpus", onCorpus);
wb.poll(element, async () => (await refresh(), 5000)); // rankings grow, and a notebook may import
