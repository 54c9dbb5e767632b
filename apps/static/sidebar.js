// The sidebar: stages with their states; built once, then only texts and dots change.
const { el, put } = wb, root = element.querySelector(".wb"), lines = {};
let tag = "";
const list = el("nav", "wb-stages"), foot = el("div", "wb-foot"), queue = el("p", "wb-faint"), home = el("code", "wb-home"), round = el("p", "wb-faint");
list.setAttribute("aria-label", "Stages");
foot.append(round, queue, el("p", "wb-faint", "Lab folder"), home);
root.append(el("h1", "wb-brand", "RLHF Workbench"), list, foot);

// On a phone the sidebar covers the page: it folds itself away until it is asked for.
function fold() {
  const toggle = document.querySelector("#sidebar .toggle-button");
  if (innerWidth < 700 && toggle && document.querySelector("#sidebar.open, #sidebar .open")) toggle.click();
}

function line(id, title) {
  const dot = el("i", "wb-dot"), text = el("small", "wb-number"), made = el("button", "wb-stage", null, dot, el("span", "", title), text);
  made.type = "button";
  made.addEventListener("click", () => (wb.open(id), fold()));
  list.append(made);
  return (lines[id] = { dot, text, made });
}

wb.poll(element, async () => {
  const found = await server.look({ tag });
  if (found.error) return 4000;
  if (found.same) return 3000;
  tag = found.tag;
  for (const [id, state, said, why] of found.stages) {
    const { title, about } = props.about[id], { dot, text, made } = lines[id] || line(id, title);
    dot.dataset.state = state;
    made.title = `${title}: ${state}. ${why || about}`;
    put(text, said);
  }
  put(round, `Round ${found.round}`);
  put(queue, found.queue.length ? `Queue: ${found.queue.slice(0, 4).join(", ")}${found.queue.length > 4 ? " ..." : ""}` : found.is_working ? "Worker is busy" : "Worker is idle");
  put(home, found.home);
  return 3000;
});
fold();
