// What a reward model is worth, in words: the first thing on its tab.
const { el, put } = wb, root = element.querySelector(".wb");
const dot = el("i", "wb-dot"), headline = el("p", "wb-verdict"), lines = el("ul", "wb-behind");
const box = el("section", "wb-box wb-worth", null, el("div", "wb-row", null, dot, headline), lines);
headline.setAttribute("role", "status");
root.append(box);
let wanted = wb.asked("run"), seen = "";

const tick = wb.poll(element, async () => {
  const found = await server.worth_said({ run: wanted }), now = JSON.stringify(found);
  const wait = found.over ? 12000 : 3000; // what is over changes only when somebody ranks
  if (found.error || now === seen) return wait;
  seen = now;
  box.dataset.worst = found.worst;
  headline.classList.toggle("wb-plain", !found.worst);
  put(headline, (found.worst ? `${found.run}: ` : "") + found.headline);
  lines.replaceChildren(...found.said.map((line) => el("li", "", line)));
  return wait;
});
document.addEventListener("wb-run", (event) => ((wanted = event.detail), tick()));
