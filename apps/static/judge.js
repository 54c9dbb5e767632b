// Who judges, and an order in the making: cards in groups, best first. No drawing here.
(() => {
  const LETTERS = "ABCDEFGH";
  const kept = (box, key) => { try { return box.getItem(key) } catch { return null } };
  const keep = (box, key, value) => { try { value === null ? box.removeItem(key) : box.setItem(key, value) } catch { /* a private window keeps nothing */ } };

  // One page of one person: a reload is the same page, a second tab is another, so each holds an item of its own.
  let page = kept(sessionStorage, "wb-page");
  if (!page) keep(sessionStorage, "wb-page", (page = Math.random().toString(36).slice(2)));
  const name = () => kept(localStorage, "wb-annotator") || "me";
  const judge = () => ({ annotator: name(), holder: `${name()} ${page}` });

  // groups: [[1], [0, 2]] is "card 1 is best, 0 and 2 share the second place"; cards left out are not ranked.
  const order = {
    rank: (groups, card) => groups.findIndex((group) => group.includes(card)),
    without: (groups, card) => groups.map((group) => group.filter((each) => each !== card)).filter((group) => group.length),
    add: (groups, card, isTie) => (isTie && groups.length ? [...groups.slice(0, -1), [...groups.at(-1), card]] : [...groups, [card]]),
    back: (groups) => order.without(groups, groups.length ? groups.at(-1).at(-1) : -1),
    // Puts a card before group `at`, or into it; where it stood before no longer counts.
    place(groups, card, at, isTie) {
      const alone = groups.findIndex((group) => group.length === 1 && group[0] === card);
      if (isTie && groups[at] && groups[at].includes(card)) return groups;
      const left = order.without(groups, card), to = alone >= 0 && alone < at ? at - 1 : at;
      if (isTie && left[to]) return left.map((group, index) => (index === to ? [...group, card] : group));
      return [...left.slice(0, to), [card], ...left.slice(to)];
    },
    ofRatings: (ratings) => [5, 4, 3, 2, 1].map((level) => ratings.flatMap((each, card) => (each === level ? [card] : []))).filter((group) => group.length),
    said: (groups) => groups.map((group) => group.map((card) => LETTERS[card]).join(" = ")).join("  >  "),
  };

  // What a person must never lose to a reload: kept in this tab until it is stored.
  const draft = {
    load(id) { try { const found = JSON.parse(kept(sessionStorage, "wb-draft") || "{}"); return found.id === id ? found : {} } catch { return {} } },
    save: (values) => keep(sessionStorage, "wb-draft", JSON.stringify(values)),
    drop: () => keep(sessionStorage, "wb-draft", null),
  };
  Object.assign(window.wb, { judge, order, draft, letters: LETTERS, taste: { get: (key) => kept(localStorage, key), set: (key, value) => keep(localStorage, key, value) } });
})();
