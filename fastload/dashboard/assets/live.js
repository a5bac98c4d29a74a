// Follows a run: events of the server in, commands of the reader out. The page itself is drawn by fastload.update.
(() => {
  "use strict";

  const { el, fill } = fastload.dom;
  const units = fastload.units;
  const $ = (id) => document.getElementById(id);
  const bar = $("live");
  if (!bar) return;
  const steered = bar.dataset.steered === "true";
  const title = document.title;
  const first = JSON.parse($("data").textContent);
  const NAMES = {
    starting: "Starting", ready: "Ready", "warm-up": "Warm-up", running: "Running", paused: "Paused", stopping: "Stopping", over: "Over",
  };
  // Beyond these without a word from the server the figures are said to be old.
  const QUIET_MS = 4000;
  const AGAIN_MS = 3000;
  // From so many times the load on it is asked whether that is meant: a zero too many is soon typed.
  const MUCH_MORE = 10;

  let source = null;
  let status = first.state;
  let link = "connecting";
  // The server of the ui stays when a run is over. That of one run is there as long as the connection is.
  const stays = bar.dataset.stays === "true";
  let isServed = true;
  let heard = Date.now();
  let asking = false;
  let latest = null;
  let missed = false;

  // What the server says.

  function connect() {
    if (source) source.close();
    source = new EventSource("events");
    source.addEventListener("open", () => setLink("live"));
    source.addEventListener("error", onError);
    source.addEventListener("data", (event) => onData(JSON.parse(event.data)));
    source.addEventListener("status", (event) => onStatus(JSON.parse(event.data)));
    source.addEventListener("end", onEnd);
  }

  function onError() {
    if (link === "over") {
      source.close();
      isServed = false;
      showStatus();
      return;
    }
    setLink("lost");
    // The browser tries again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS);
  }

  function onData(data) {
    heard = Date.now();
    if (data.run.run_id !== first.run.run_id) {
      location.reload(); // Another run on the same port.
      return;
    }
    latest = data;
    if (document.hidden && !data.state.complete) missed = true; // Nobody looks: it is drawn when somebody does.
    else draw();
    if (!steered || data.state.complete) onStatus(data.state);
  }

  function draw() {
    if (latest) fastload.update(latest);
    latest = null;
  }

  function onStatus(found) {
    heard = Date.now();
    status = { ...status, ...found };
    if (!("trouble" in found)) delete status.trouble;
    showStatus();
    if (steered) showScenarios();
  }

  // By a connection that stays open the server knows that somebody looks at the page.
  function onEnd() {
    if (stays && source) source.close();
    onStatus({ phase: "over" });
    setLink("over");
  }

  function onShown() {
    if (document.hidden) return;
    if (missed && link !== "over") connect(); // It begins with everything there is.
    else draw();
    missed = false;
  }

  function setLink(name) {
    link = name;
    bar.dataset.link = name;
    showStatus();
  }

  // What the reader sees.

  function phaseText() {
    if (link === "lost") return "Connection lost, trying again";
    if (link === "connecting") return "Connecting";
    return NAMES[status.phase] || status.phase;
  }

  function setText(element, text) {
    // Only what changes: readers of a screen hear it.
    if (element.textContent !== text) element.textContent = text;
  }

  function showStatus() {
    const over = link === "over";
    const gone = over || link === "lost";
    bar.dataset.phase = over ? "over" : status.phase;
    setText($("live-phase"), phaseText());
    setText($("live-clock"), units.clock(status.elapsed_s || 0));
    $("live-progress").value = over ? 1 : status.progress || 0;
    setText($("live-more"), moreText(over));
    $("live-report").hidden = !isServed || link === "lost" || (over && stays);
    setText($("live-report"), over ? "Report" : "Report so far");
    document.title = over ? `${title} (over)` : `${units.clock(status.elapsed_s || 0)} ${title}`;
    if (!steered) return;
    const busy = asking || gone || ["starting", "stopping", "over"].includes(status.phase);
    // A search sets the load by itself; one that waits for its begin can be begun.
    $("live-pause").hidden = over || (status.can_pause === false && status.phase !== "paused");
    $("live-stop").hidden = over;
    $("live-scenarios").hidden = over || !$("live-scenarios").dataset.any;
    $("live-pause").textContent = { ready: "Begin", paused: "Resume" }[status.phase] || "Pause";
    $("live-pause").disabled = busy;
    $("live-stop").disabled = asking || gone || ["stopping", "over"].includes(status.phase);
    for (const field of $("live-scenarios").querySelectorAll("input, button")) field.disabled = busy;
  }

  function moreText(over) {
    if (over) return isServed ? "These figures are final" : "These figures are final; the server has ended";
    if (status.trouble) return status.trouble;
    const quiet = Date.now() - heard;
    if (quiet > QUIET_MS) return `nothing heard for ${units.duration(Math.round(quiet / 1000))}`;
    const parts = [];
    if (units.isNumber(status.vus)) parts.push(units.numberOf(status.vus, "VU"));
    if (units.isNumber(status.workers_alive)) parts.push(units.numberOf(status.workers_alive, "worker"));
    if (status.viewers > 1) parts.push(`${units.count(status.viewers)} watch`);
    return parts.join(" · ");
  }

  function showScenarios() {
    // One that has not begun may have no target yet.
    const scalable = (status.scenarios || []).filter((one) => one.can_scale && ("vus" in one || "rate_per_s" in one));
    const names = JSON.stringify(scalable.map((one) => one.name));
    const list = $("live-scenarios");
    if (list.dataset.names !== names) {
      list.dataset.names = names;
      fill(list, scalable.map(scenarioForm));
    }
    list.dataset.any = scalable.length ? "yes" : "";
    scalable.forEach((one, index) => {
      const form = list.children[index];
      const target = "vus" in one ? units.numberOf(one.vus, "VU") : `${units.count(one.rate_per_s)}/s`;
      setText(form.querySelector("output"), target);
      const input = form.querySelector("input");
      if (document.activeElement !== input && !form.dataset.changed) input.value = one.vus ?? one.rate_per_s;
    });
    showStatus();
  }

  function scenarioForm(one) {
    const what = "vus" in one ? "vus" : "rate";
    const id = `live-input-${one.name}`;
    const input = what === "vus"
      ? el("input", { id, type: "number", min: 0, step: 1, required: true, inputmode: "numeric" })
      : el("input", { id, type: "text", required: true, size: 8, inputmode: "decimal" });
    const form = el("form.live-scenario", { "data-scenario": one.name, novalidate: true });
    const step = (by) =>
      el("button", {
        type: "button",
        "aria-label": `${one.name}: ${Math.abs(by)} ${by < 0 ? "less" : "more"}`,
        onclick: () => scale(one.name, { by }),
      }, by < 0 ? `−${-by}` : `+${by}`);
    form.append(
      el("span.live-name", null,
        el("label", { for: id }, one.name, el("span.unseen", null, what === "vus" ? ": VUs" : ": starts per second")),
        el("output", { for: id })),
      step(-10), step(-1), input, step(1), step(10),
      el("button", { type: "submit" }, "Set"),
    );
    input.addEventListener("input", () => (form.dataset.changed = "yes"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const value = what === "vus" ? Number(input.value || NaN) : input.value.trim();
      if (what === "vus" ? !(Number.isInteger(value) && value >= 0) : !value) {
        const example = what === "vus" ? "a whole number of VUs, like 50" : "starts per second, like 50 or 1k/s";
        fill($("live-said"), `${one.name}: give ${example}`);
        input.focus();
        return;
      }
      if (await scale(one.name, { [what]: value })) delete form.dataset.changed;
    });
    return form;
  }

  // What the reader asks for.

  async function scale(name, asked) {
    const one = status.scenarios.find((each) => each.name === name);
    const now = one.vus ?? one.rate_per_s;
    const wanted = "by" in asked ? now + asked.by : "vus" in asked ? asked.vus : rateOf(asked.rate);
    if (wanted >= MUCH_MORE * Math.max(now, 1) && !(await isMeant(one, now, wanted))) return false;
    return ask("scale", { scenario: name, ...asked });
  }

  // A rate as the run reads it, in starts per second: 500, 1.5k, 1k/s, 90/min, 1/20000s. NaN for what it will refuse.
  function rateOf(text) {
    const found = /^([\d.]+)([km]?)(?:\/([\d.]*)(s|sec|min|m|h|d)?)?$/i.exec(text.trim());
    if (!found) return NaN;
    const [, number, factor, times, unit] = found;
    const seconds = { s: 1, sec: 1, min: 60, m: 60, h: 3600, d: 86400 }[(unit || "s").toLowerCase()];
    return (Number(number) * ({ k: 1e3, m: 1e6 }[factor.toLowerCase()] || 1)) / (Number(times || 1) * seconds);
  }

  function isMeant(one, now, wanted) {
    const dialog = $("live-scale");
    const amount = (value) => ("vus" in one ? units.numberOf(value, "VU") : `${units.count(value)} starts/s`);
    setText($("live-scale-title"), `Scale ${one.name} to ${amount(wanted)}?`);
    setText($("live-scale-text"), now ? `That is ${units.count(Math.floor(wanted / now))} times as much as now: ${amount(now)}.` : "Now it has none.");
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "scale"), { once: true });
    });
  }

  async function ask(name, body) {
    if (asking) return false;
    asking = true;
    showStatus();
    const refusal = await send(name, body || {});
    asking = false;
    fill($("live-said"), refusal);
    showStatus();
    return !refusal;
  }

  async function send(name, body) {
    try {
      const reply = await fetch(`control/${name}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (reply.ok) return "";
      const said = await reply.json();
      return said.hint ? `${said.error} (${said.hint})` : said.error;
    } catch {
      return "The run does not answer";
    }
  }

  function begin() {
    if (steered) {
      $("live-pause").addEventListener("click", () => ask(["ready", "paused"].includes(status.phase) ? "resume" : "pause"));
      $("live-stop").addEventListener("click", () => $("live-dialog").showModal());
      $("live-dialog").addEventListener("close", () => {
        const how = $("live-dialog").returnValue;
        $("live-dialog").returnValue = "";
        if (how) ask("stop", how === "now" ? { now: true } : {});
      });
    }
    document.addEventListener("visibilitychange", onShown);
    setInterval(() => link !== "over" && showStatus(), 1000);
    showStatus();
    if (status.complete && stays) onEnd();
    else connect();
  }

  // After the page has drawn itself.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
