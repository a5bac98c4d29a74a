// Two runs that are chosen in the lists, and their comparison.
window.fastload = window.fastload || {};
fastload.compare = (() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const byId = (id) => document.getElementById(id);
  // Id of a run -> its name. The lists are made anew again and again; what is chosen in them stays.
  const chosen = new Map();
  let isComparing = false;

  // The box in the row of a run, which `lists` put there.
  function box(id, name, canCompare) {
    const input = el("input", { type: "checkbox", value: id, "aria-label": `Compare ${name}`, title: "Compare", disabled: !canCompare,
      onchange: () => choose(id, name, input.checked) });
    input.checked = chosen.has(id);
    return el("label.pick", null, input);
  }

  function choose(id, name, isChosen) {
    if (isChosen) chosen.set(id, name);
    else chosen.delete(id);
    // The third takes the place of the first.
    if (chosen.size > 2) chosen.delete(chosen.keys().next().value);
    show();
  }

  function show() {
    for (const input of document.querySelectorAll(".pick input")) input.checked = chosen.has(input.value);
    const names = [...chosen.values()];
    byId("compare").hidden = !names.length;
    fastload.setText(byId("compare-names"), names.length === 1 ? `${names[0]} and …` : names.join(" and "));
    byId("compare-start").disabled = names.length < 2 || isComparing;
    fastload.setText(byId("compare-start"), isComparing ? "Comparing" : "Compare");
    say(null);
  }

  function say(fault, different) {
    fastload.showFault(byId("compare-fault"), fault);
    byId("compare-force").hidden = !different;
  }

  async function compare(force) {
    isComparing = true;
    show();
    try {
      const found = await fastload.ask("api/compare", { runs: [...chosen.keys()], force });
      isComparing = false;
      show();
      if (found.comparison) location.assign(`comparisons/${found.comparison}`);
      else say({ error: found.different, hint: "What differs may be because of that" }, true);
    } catch (fault) {
      isComparing = false;
      show();
      say(fault);
    }
  }

  function start() {
    byId("compare-start").addEventListener("click", () => compare(false));
    byId("compare-force").addEventListener("click", () => compare(true));
    byId("compare-clear").addEventListener("click", () => {
      chosen.clear();
      show();
    });
    show();
  }

  return { box, start };
})();
