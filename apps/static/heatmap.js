// One reply as a heatmap of its tokens: a colour per token, every figure of the token under the pointer or the focus.
wb.Heatmap = class {
  static QUANTITIES = {
    advantage: ["Advantage", "sd", () => "Better (orange) or worse (blue) than the value model expected, from this token on; in standard deviations of the batch. The update makes orange tokens likelier, blue ones rarer."],
    kl: ["KL", "nats", (weight) => `Drift. Orange: the policy makes this token likelier than the SFT model does; blue: rarer. Each token pays ${weight === null ? "kl_weight" : wb.number(weight)} times its KL, so PPO only drifts where reward is to be had.`],
    shift: ["Probability shift", "", () => "The policy's probability of this token less the SFT model's. Orange: it has become likelier; blue: rarer. KL is the ratio of the two, this is the difference."],
    value: ["Value", "", () => "What the value model expected the rest of the reply to earn, before this token was said. Orange: a good end was expected; blue: a bad one."],
    reward: ["Reward", "", () => "What the token was paid. All tokens pay for drift; the last one also gets the reward model's score."],
  };

  constructor() {
    this.quantity = "advantage";
    this.at = 0;
    this.onTouch = () => {};
    this.choices = wb.el("div", "wb-segments");
    this.choices.setAttribute("role", "group");
    this.choices.setAttribute("aria-label", "Quantity that colours the tokens");
    for (const [name, [title]] of Object.entries(wb.Heatmap.QUANTITIES)) {
      const choice = wb.button(title, "", () => (this.onTouch(), this.paint(name)));
      choice.dataset.quantity = name;
      this.choices.append(choice);
    }
    this.sentence = wb.el("p", "wb-faint wb-sentence");
    this.text = wb.el("div", "wb-tokens");
    this.text.setAttribute("role", "listbox");
    this.text.setAttribute("aria-orientation", "horizontal");
    this.low = wb.el("span", "wb-number");
    this.high = wb.el("span", "wb-number");
    this.scale = wb.el("div", "wb-scale wb-faint", null, this.low, wb.el("i", "wb-ramp"), this.high, wb.tip("The darkest shade is the largest value of this reply, no colour is 0. Shades grow with the square root, so that small values can be seen too. Click into the text, then the arrow keys move from token to token."));
    this.head = wb.el("strong", "");
    this.facts = wb.el("div", "wb-facts wb-number");
    this.told = wb.el("div", "wb-told", null, this.head, this.facts);
    this.told.setAttribute("role", "status");
    this.box = wb.el("article", "wb-card wb-heatmap", null, wb.el("div", "wb-row", null, this.choices, this.scale), this.sentence, this.text, this.told);
    this.text.addEventListener("pointerover", (event) => event.target.dataset.at && this.tell(Number(event.target.dataset.at)));
    this.text.addEventListener("pointerleave", () => this.tell(this.at));
    this.text.addEventListener("click", (event) => event.target.dataset.at && this.go(Number(event.target.dataset.at)));
    this.text.addEventListener("focusin", (event) => event.target.dataset.at && this.select(Number(event.target.dataset.at)));
    this.text.addEventListener("keydown", (event) => this.key(event));
  }

  show(found) {
    this.found = found;
    this.tokens = found.pieces.map((piece, at) => {
      const token = wb.el("span", "wb-token", this.shown(piece, at));
      token.classList.toggle("wb-mark", !piece);
      token.dataset.at = at;
      token.setAttribute("role", "option");
      return token;
    });
    this.text.replaceChildren(...this.tokens);
    if (found.finish === "cut") this.text.append(wb.el("span", "wb-faint", " … cut off"));
    for (const choice of this.choices.children) choice.hidden = !found.figures[choice.dataset.quantity];
    this.select(0);
    this.paint(found.figures[this.quantity] ? this.quantity : "kl");
  }

  // A line break must be seen to be pointed at; a token without text is a stop, or a part of a character.
  shown(piece, at) {
    if (!piece) return at === this.found.pieces.length - 1 && this.found.finish === "ended" ? "end" : "·";
    return piece.replaceAll("\n", "↵\n");
  }

  paint(quantity) {
    this.quantity = quantity;
    for (const choice of this.choices.children) choice.setAttribute("aria-pressed", choice.dataset.quantity === quantity);
    const [title, unit, sentence] = wb.Heatmap.QUANTITIES[quantity], values = this.found.figures[quantity];
    const most = Math.max(0, ...values.map((value) => Math.abs(value || 0)));
    this.tokens.forEach((token, at) => {
      const value = values[at] || 0;
      token.dataset.sign = value < 0 ? "minus" : "plus";
      token.style.setProperty("--heat", most > 1e-6 ? `${Math.round(65 * Math.sqrt(Math.abs(value) / most))}%` : "0%");
      token.setAttribute("aria-label", `${this.found.pieces[at].trim() || token.textContent}: ${title} ${wb.Heatmap.signed(values[at])}`);
    });
    this.text.setAttribute("aria-label", `Tokens of the reply, coloured by ${title}; the arrow keys move between them`);
    const isFlat = most <= 1e-6;
    wb.put(this.low, isFlat ? "all 0" : wb.Heatmap.signed(-most));
    wb.put(this.high, isFlat ? "" : `${wb.Heatmap.signed(most)} ${unit}`.trim());
    const why = isFlat && quantity !== "value" && quantity !== "advantage" ? " All 0 here: nothing has been learned yet, so the policy still is the SFT model." : "";
    wb.put(this.sentence, sentence(this.found.kl_weight) + why);
    this.tell(this.at);
  }

  static signed(value) {
    if (value === null || value === undefined) return "–";
    return (value > 0 ? "+" : value < 0 ? "−" : "") + wb.number(Math.abs(value));
  }

  static percent(value) {
    return value === null ? "–" : `${(100 * value).toPrecision(value > 0.1 ? 3 : 2)} %`;
  }

  tell(at) {
    const { pieces, ids, figures } = this.found, { signed, percent } = wb.Heatmap;
    wb.put(this.head, `${at + 1} of ${pieces.length}  “${pieces[at] ? pieces[at].replaceAll("\n", "↵") : this.tokens[at].textContent}”`);
    this.head.title = `token id ${ids[at]}`;
    const facts = [["advantage", "advantage", signed], ["value", "value", signed], ["return", "return", signed], ["reward", "reward", signed],
      ["kl", "KL", signed], ["shift", "shift", (v) => (v === null ? "–" : `${signed(100 * v)} points`)], ["policy", "policy", percent], ["reference", "SFT", percent]].filter(([name]) => figures[name]);
    this.facts.replaceChildren(...facts.map(([name, title, form]) => {
      const fact = wb.el("span", "", null, wb.el("small", "wb-faint", title), wb.el("b", "", form(figures[name][at])));
      fact.classList.toggle("wb-on", name === this.quantity);
      return fact;
    }));
  }

  select(at) {
    for (const [place, token] of this.tokens.entries()) {
      token.tabIndex = place === at ? 0 : -1;
      token.setAttribute("aria-selected", place === at);
    }
    this.at = at;
    this.tell(at);
  }

  go(at) {
    this.onTouch();
    this.tokens[Math.max(0, Math.min(this.tokens.length - 1, at))].focus();
  }

  key(event) {
    const to = { ArrowLeft: () => this.at - 1, ArrowRight: () => this.at + 1, ArrowUp: () => this.line(-1), ArrowDown: () => this.line(1), Home: () => 0, End: () => this.tokens.length - 1 }[event.key];
    if (!to || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.go(to());
  }

  // The token nearest to the present one in the line above or below.
  line(way) {
    const middle = (token) => token.offsetLeft + token.offsetWidth / 2, here = this.tokens[this.at];
    const beyond = this.tokens.filter((token) => way * (token.offsetTop - here.offsetTop) > 4);
    if (!beyond.length) return this.at;
    const next = way * Math.min(...beyond.map((token) => way * token.offsetTop));
    const row = beyond.filter((token) => Math.abs(token.offsetTop - next) <= 4);
    return Number(row.reduce((best, token) => (Math.abs(middle(token) - middle(here)) < Math.abs(middle(best) - middle(here)) ? token : best)).dataset.at);
  }
};
