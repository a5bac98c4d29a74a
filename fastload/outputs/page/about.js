// What a run used and what it was: resources, events, the plan and the environment.
//
// fastload.about.make() gives the sections, as fastload.sections does.
window.fastload = window.fastload || {};
fastload.about = (() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  const { units } = fastload;
  const { listed, facts } = fastload.tables;
  const { ms, count, percent, bytes } = units;
  const number = (name, of, show, more) => ({ name, of, show: (row) => show(of(row)), numeric: true, ...more });
  const text = (name, of, more) => ({ name, of, ...more });

  const resources = {
    id: "resources",
    title: "Resources",
    note: "CPU: 100% is one core busy; for the host, all of its cores",
    rows: ({ summary }) => [
      ...(summary.workers || []).map(workerRow),
      ...(summary.host ? [usedBy("host", summary.host, "memory_used_bytes")] : []),
      ...(summary.target ? [usedBy(`target ${summary.target.label}`, summary.target, "rss_bytes")] : []),
    ],
    columns: () => [
      text("process", (row) => row.name, { wide: true }),
      number("CPU mean", (row) => row.mean, units.cpu),
      number("CPU max", (row) => row.max, units.cpu),
      number("memory", (row) => row.memory, bytes),
      number("run delay", (row) => row.delay, percent, { hint: "The share of the time in which it waited for a CPU" }),
      number("longest stall", (row) => row.stall, ms),
      text("remark", (row) => row.remark, { wide: true, mark: (row) => (row.isBad ? "bad" : "") }),
    ],
  };

  function workerRow(one) {
    return {
      name: `worker ${one.index}`,
      mean: one.cpu_percent.mean,
      max: one.cpu_percent.max,
      memory: one.rss_bytes,
      delay: one.run_delay_share,
      stall: one.lag_max_ms,
      remark: [one.lost ? "lost" : "", one.cpu_percent.mean === null ? "not sampled" : ""].filter(Boolean).join(", "),
      isBad: one.lost,
    };
  }

  function usedBy(name, { mean = {}, max = {} }, memory) {
    const isGone = mean.alive !== undefined && mean.alive < 1;
    const threads = max.threads
      ? `${count(max.processes)} ${max.processes === 1 ? "process" : "processes"}, ${units.numberOf(max.threads, "thread")}`
      : "";
    const total = max.memory_total_bytes
      ? `${units.numberOf((max.cpus_percent || []).length, "CPU")}, ${bytes(max.memory_total_bytes)} of memory`
      : threads;
    return {
      name,
      mean: mean.cpu_percent,
      max: max.cpu_percent,
      memory: max[memory],
      delay: mean.run_delay_ratio ?? null,
      stall: null,
      remark: isGone ? "it did not run all the time" : total,
      isBad: isGone,
    };
  }

  const events = {
    id: "events",
    title: "Events",
    note: "what was done to the run, and what happened to it",
    isOfLoad: false,
    rows: ({ timeline }) => timeline.events.filter((one) => one.kind !== "phase"),
    columns: () => [
      text("at", (row) => row.t, { show: (row) => units.clock(row.t) }),
      text("kind", (row) => row.kind),
      text("what", (row) => row.text, { wide: true }),
    ],
  };

  function loadOf(scenario) {
    const known = ["name", "executor", "model", "tags", "start_s", "after", "graceful_stop_s"];
    const shown = Object.entries(scenario).filter(
      ([key, value]) => !known.includes(key) && value !== null && value !== "",
    );
    return shown
      .map(
        ([key, value]) =>
          `${key
            .replace(/_per_s$/, "")
            .replace(/_s$/, "")
            .replaceAll("_", " ")} ${valueOf(key, value)}`,
      )
      .join(", ");
  }

  function valueOf(key, value) {
    if (key === "stages")
      return value.map(([seconds, target]) => `${units.duration(seconds)}:${count(target)}`).join(" ");
    if (key.endsWith("_per_s")) return `${count(value)}/s`;
    if (key.endsWith("_s")) return value ? units.duration(value) : "none";
    return typeof value === "number" ? count(value) : String(value);
  }

  function plan() {
    const element = section("plan", "Plan");
    const body = el("div");
    element.append(body);
    return {
      id: "plan",
      title: "Plan",
      element,
      update: once(({ summary }) => {
        const made = summary.plan || {};
        fill(
          body,
          facts([
            ["kind", made.kind],
            ["title", made.title],
            ["base URL", made.base_url || "none"],
            ["workers", made.workers && count(made.workers)],
            ["warm-up", made.warmup_s ? units.duration(made.warmup_s) : "none"],
            ["seed", made.seed === undefined ? null : String(made.seed)],
            ["environment names", (made.env || []).join(", ") || "none"],
          ]),
          (made.scenarios || []).map((one) =>
            el(
              "div.scenario",
              null,
              el("h3", null, one.name),
              facts([
                ["executor", `${one.executor}, ${one.model} model`],
                ["load", loadOf(one)],
                [
                  "begins",
                  one.after
                    ? `after ${one.after}${one.start_s ? ` and ${units.duration(one.start_s)}` : ""}`
                    : one.start_s
                      ? `after ${units.duration(one.start_s)}`
                      : "at once",
                ],
                ["graceful stop", units.duration(one.graceful_stop_s)],
                [
                  "tags",
                  Object.entries(one.tags || {})
                    .map(([key, value]) => `${key}=${value}`)
                    .join(", "),
                ],
              ]),
            ),
          ),
          el(
            "details",
            null,
            el("summary", null, "HTTP settings"),
            facts(Object.entries(made.http || {}).map(([key, value]) => [key.replaceAll("_", " "), settingOf(value)])),
          ),
        );
      }),
    };
  }

  function settingOf(value) {
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) return "none";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  }

  function environment() {
    const element = section("environment", "Environment");
    const body = el("div");
    element.append(body);
    return {
      id: "environment",
      title: "Environment",
      element,
      update: once(({ summary, run }) => {
        const machine = Object.entries(summary.machine || {}).map(([key, value]) => [
          key.replaceAll("_", " "),
          key.endsWith("_bytes") ? bytes(value) : String(value),
        ]);
        fill(
          body,
          facts([
            ["started", run.started_at.replace("T", " ").replace(/(\.\d+)?(\+00:00|Z)$/, " UTC")],
            ["run", run.run_id],
            ...machine,
          ]),
          el("h3", null, "Versions"),
          facts(Object.entries(summary.versions || {})),
        );
      }),
    };
  }

  function once(update) {
    let before = "";
    return (data) => {
      const text = JSON.stringify([data.run, data.summary.plan, data.summary.machine, data.summary.versions]);
      if (text !== before) update(data);
      before = text;
    };
  }

  const make = () => [listed(resources), listed(events), plan(), environment()];

  return { make };
})();
