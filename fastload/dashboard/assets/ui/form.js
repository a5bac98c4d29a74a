// The form: what the script says stands in it, what is changed goes into the run.
window.fastload = window.fastload || {};
fastload.form = (() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const LOAD = [
    ["users", "Users", "", "At once, or at most with a rate.", "numeric"],
    ["spawn_rate", "Spawn rate", "users/s", "Empty: all at once.", "decimal"],
    ["duration", "Duration", "", "Like 30s, 5m or 1h30m.", "text"],
    ["rate", "Rate", "starts/s", "Open model: by the clock, like 50 or 1k/s.", "text"],
    ["iterations", "Iterations", "", "In all, shared by the users.", "numeric"],
  ];
  const AS_SAID = { users: "as the script says", duration: "as the script says", rate: "as the script says" };
  const ONE_INPUT = "input, textarea";
  const byId = (id) => document.getElementById(id);
  let form = null;
  // The number of the run whose values of the environment stay with the server, and their names.
  let envOf = 0;
  let kept = [];
  // Whether somebody changed them. Until then they are those that the script has for the chosen scenarios.
  let hasOwnThresholds = false;

  function field(name, title, unit, hint, mode) {
    const input = el("input", {
      id: `field-${name}`, name, placeholder: AS_SAID[name], autocomplete: "off", spellcheck: "false", inputmode: mode,
      "aria-describedby": `hint-${name} error-${name}`,
    });
    return el("div.field", null,
      el("label", { for: `field-${name}` }, title, unit ? el("small", null, unit) : null),
      input,
      el("p.hint", { id: `hint-${name}` }, hint),
      el("p.error", { id: `error-${name}` }));
  }

  function scenarioRow(scenario, chosen) {
    const functions = scenario.functions.length > 1 ? scenario.functions : [];
    const tasks = functions.map((one) => `${one.name} ${fastload.units.percent(one.share)}`).join(", ");
    const box = el("input", { type: "checkbox", name: "scenarios", value: scenario.name, checked: chosen });
    return el("label.scenario", null, box, el("span", null,
      el("span.name", null, el("b", null, scenario.name), " ", el("code", null, scenario.executor)),
      scenario.about ? el("span.about", null, scenario.about) : null,
      el("span.load", null, scenario.description, tasks ? ` (${tasks})` : "")));
  }

  function envRow(name, value, hint = "value") {
    const row = el("div.env", null,
      el("input", { "aria-label": "Name", placeholder: "NAME", autocomplete: "off", spellcheck: "false" }),
      el("input", { "aria-label": "Value", autocomplete: "off", spellcheck: "false",
        placeholder: hint }),
      el("button.quiet", { type: "button", "aria-label": "Remove", onclick: () => { row.remove(); changed(); } }, "×"));
    [row.children[0].value, row.children[1].value] = [name, value];
    return row;
  }

  const changed = () => byId("form").dispatchEvent(new Event("input", { bubbles: true }));

  // Fill the form: `data` is /api/form, `values` a form as it was left before, by default what the script says.
  function show(data, values) {
    form = data;
    const now = { ...data.first, ...(values || {}) };
    const names = data.scenarios.map((one) => one.name);
    const chosen = now.scenarios.filter((name) => names.includes(name));
    // A choice from another script than it is now says nothing: all of them, as at first.
    const isStale = chosen.length < now.scenarios.length || !chosen.length;
    fill(byId("scenarios"), data.scenarios.map((one) => scenarioRow(one, isStale || chosen.includes(one.name))));
    fill(byId("load"), LOAD.map((one) => field(...one)));
    fill(byId("against"), field("base_url", "Host", "", hostHint(data), "url"),
      el("label.check", { id: "without-host" }, el("input", { type: "checkbox", id: "needs-no-host" }),
        "The script needs none: its URLs are absolute."));
    byId("field-base_url").placeholder = data.target ? `target ${data.target}` : "http://localhost:8080";
    hasOwnThresholds = Boolean(now.thresholds);
    showThresholds(now.thresholds || data.thresholds);
    byId("needs-no-host").checked = !data.target && !now.needs_host;
    for (const name of ["base_url", ...LOAD.map((one) => one[0])]) byId(`field-${name}`).value = now[name] || "";
    const known = data.env_names.filter((name) => !now.env.some((pair) => pair[0] === name));
    envOf = now.env_of || 0;
    kept = envOf ? now.env.filter(([, value]) => !value).map(([name]) => name) : [];
    const hintOf = (name) => (kept.includes(name) ? `as in run ${envOf}` : "value");
    const rows = [...known.map((name) => envRow(name, "", "as given")),
      ...now.env.map(([name, value]) => envRow(name, value, hintOf(name)))];
    fill(byId("env"), rows);
    byId("environment").open = rows.length > 0;
    showHost();
    showErrors({});
    byId("form").hidden = byId("side").hidden = false;
  }

  function showThresholds(texts) {
    byId("field-thresholds").value = texts.join("\n");
    byId("field-thresholds").rows = Math.max(2, texts.length + 1);
  }

  function followPlan(plan) {
    if (!hasOwnThresholds) showThresholds(plan.thresholds);
  }

  byId("field-thresholds").addEventListener("input", () => (hasOwnThresholds = true));

  function hostHint(data) {
    if (data.target) return "Empty: the target is started for each run.";
    return "What relative URLs of the script start with.";
  }

  function showHost() {
    byId("without-host").hidden = Boolean(form.target || byId("field-base_url").value.trim());
  }

  // The values as they are to be sent.
  function values() {
    const boxes = [...document.querySelectorAll("input[name=scenarios]:checked")];
    const found = { scenarios: boxes.map((box) => box.value), needs_host: !form.target && !byId("needs-no-host").checked };
    for (const name of ["base_url", ...LOAD.map((one) => one[0])]) found[name] = byId(`field-${name}`).value.trim();
    const lines = byId("field-thresholds").value.split("\n").map((line) => line.trim());
    found.thresholds = hasOwnThresholds ? lines.filter(Boolean) : null;
    const pairs = [...byId("env").children].map((row) => [row.children[0].value, row.children[1].value]);
    const isAsGiven = (name) => form.env_names.includes(name) && !kept.includes(name);
    found.env = pairs.filter(([name, value]) => value || (name && !isAsGiven(name)));
    found.env_of = envOf;
    return found;
  }

  // Those of them that are not what the script says; null as long as there is no form.
  function changes() {
    if (!form) return null;
    const now = values();
    const same = (name) => JSON.stringify(now[name]) === JSON.stringify(form.first[name]);
    return Object.fromEntries(Object.entries(now).filter(([name]) => !same(name)));
  }

  // Errors by field, at the fields; `only` says which of them to show yet.
  function showErrors(fields, only = () => true) {
    let first = null;
    for (const place of document.querySelectorAll("#form .error")) {
      const name = place.id.replace("error-", "");
      const fault = only(name) ? fields[name] : undefined;
      fill(place, fault ? `${fastload.sentence(fault.message)} ` : null,
        fault && fault.hint ? el("span.hint", null, fastload.sentence(fault.hint)) : null);
      const input = byId(`field-${name}`);
      if (input && input.matches(ONE_INPUT)) input.setAttribute("aria-invalid", fault ? "true" : "false");
      if (fault && !first) first = name;
    }
    return first;
  }

  function focus(name) {
    if (name === "env") byId("environment").open = true;
    const place = byId(`field-${name}`) || byId("add-env");
    (place.matches(`${ONE_INPUT}, button`) ? place : place.querySelector("input")).focus();
  }

  const isFilled = (name) => Boolean((byId(`field-${name}`) || {}).value);

  function addEnv() {
    const row = envRow("", "");
    byId("env").append(row);
    row.children[0].focus();
  }

  return { show, followPlan, values, changes, showErrors, showHost, focus, isFilled, addEnv };
})();
