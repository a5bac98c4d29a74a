// The page of `fastload ui`: reads the form, previews the plan, starts, and follows the list of runs.
(() => {
  "use strict";
  const { el, fill } = fastload.dom;
  const { duration } = fastload.units;
  const byId = (id) => document.getElementById(id);
  const POLL_MS = 1000;
  const PREVIEW_MS = 350;
  // The saved runs are those of other processes: they are looked at less often.
  const SAVED_EVERY = 10;
  let titles = {};
  let timer = 0;
  let asked = 0;
  let isBusy = false;
  let isStarting = false;

  async function readForm(again) {
    try {
      const data = await fastload.ask("api/form", again ? {} : undefined);
      titles = data.reports;
      fastload.form.show(data, fastload.form.changes() || data.last);
      fastload.showFault(byId("fault"), null);
      preview();
    } catch (fault) {
      byId("side").hidden = false;
      fill(byId("plan"));
      fastload.showFault(byId("fault"), fault);
    }
    setButtons();
  }

  function setButtons() {
    byId("start").disabled = isBusy || isStarting || byId("form").hidden;
    byId("start").textContent = isStarting ? "Starting" : "Start";
    byId("again").disabled = isBusy || isStarting;
  }

  function showPlan(plan) {
    byId("plan").classList.remove("old");
    if (!plan.scenarios) {
      fill(byId("plan"), el("p.hint", null, "One run at a time: this is for the next one."));
      return;
    }
    fastload.form.followPlan(plan);
    const none = fastload.form.values().needs_host ? "a host that is not given yet" : "absolute URLs";
    const against = plan.target ? `target ${plan.target}, started for the run` : plan.base_url || none;
    fill(byId("plan"),
      el("dl", null, plan.scenarios.map((one) => [el("dt", null, one.name), el("dd", null, one.description)])),
      el("p.hint", null, `${duration(plan.duration_s)} against ${against}.`),
      plan.thresholds.length ? el("p.hint", null, "It passes if ", plan.thresholds.map((text, index) => [index ? " and " : "", el("code", null, text)]), " hold", plan.thresholds.length === 1 ? "s" : "", ".") : null,
      plan.notes.map((note) => el("p.hint", null, note)));
  }

  async function preview() {
    clearTimeout(timer);
    asked += 1;
    const mine = asked;
    byId("plan").classList.add("old");
    if (isStarting) return;
    if (isBusy) {
      showPlan({});
      return;
    }
    try {
      const plan = await fastload.ask("api/plan", fastload.form.values());
      if (mine !== asked) return;
      showPlan(plan);
      fastload.form.showErrors({});
      fastload.showFault(byId("fault"), null);
    } catch (fault) {
      if (mine !== asked || isBusy) return;
      // What is not filled in yet is no mistake before somebody starts.
      const isShown = (name) => fastload.form.isFilled(name) || name === "env" || name === "scenarios";
      fastload.form.showErrors(fault.fields, isShown);
      if (!Object.keys(fault.fields).length) fastload.showFault(byId("fault"), fault);
      else fastload.showFault(byId("fault"), null);
    }
  }

  async function start(event) {
    event.preventDefault();
    if (isBusy || isStarting) return;
    clearTimeout(timer);
    asked += 1;
    isStarting = true;
    setButtons();
    try {
      const run = await fastload.ask("api/start", fastload.form.values());
      location.assign(`runs/${run.run}/`);
      return;
    } catch (fault) {
      const first = fastload.form.showErrors(fault.fields);
      fastload.showFault(byId("fault"), first ? null : fault);
      if (first) fastload.form.focus(first);
    }
    isStarting = false;
    setButtons();
  }

  async function stop(number) {
    try {
      await fastload.ask(`api/runs/${number}/stop`, {});
    } catch (fault) {
      fastload.showFault(byId("fault"), fault);
    }
    await follow();
  }

  async function reuse(run) {
    try {
      fastload.form.show(await fastload.ask("api/form"), run.form);
    } catch (fault) {
      fastload.showFault(byId("fault"), fault);
      return;
    }
    preview();
    byId("form-title").scrollIntoView({ block: "start" });
  }

  async function follow() {
    try {
      const data = await fastload.ask("api/runs");
      byId("lost").hidden = true;
      const was = isBusy;
      isBusy = data.current !== null;
      fastload.runs.showNow(data, stop);
      fastload.runs.showList(data, titles, reuse);
      setButtons();
      if (was !== isBusy && !byId("form").hidden) preview();
    } catch (fault) {
      byId("lost").hidden = !fault.lost;
    }
  }

  async function showSaved() {
    try {
      fastload.saved.show(await fastload.ask("api/saved"), titles);
    } catch {
      /* The list of runs says that there is no answer. */
    }
  }

  function onInput() {
    fastload.form.showHost();
    clearTimeout(timer);
    timer = setTimeout(preview, PREVIEW_MS);
  }

  async function run() {
    fastload.dom.startTheme();
    byId("form").addEventListener("submit", start);
    byId("form").addEventListener("input", onInput);
    byId("add-env").addEventListener("click", fastload.form.addEnv);
    byId("again").addEventListener("click", () => readForm(true));
    fastload.compare.start();
    await follow();
    await readForm(!isBusy);
    for (let turn = 0; ; turn += 1) {
      if (turn % SAVED_EVERY === 0) await showSaved();
      await new Promise((wake) => setTimeout(wake, POLL_MS));
      await follow();
    }
  }

  run();
})();
