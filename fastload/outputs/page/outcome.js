// The top of a report: did it pass, may the numbers be trusted, who was the limit; and the numbers that count.
window.fastload = window.fastload || {};
fastload.outcome = (() => {
  "use strict";
  const { el, fill, section } = fastload.dom;
  const { units } = fastload;
  const { ms, count, percent, bytes, perSecond, duration, numberOf } = units;
  const { messageRate } = fastload.columns;

  const meaning = {
    VALID: "the numbers can be trusted",
    SUSPECT: "read the reasons before you use the numbers",
    INVALID: "the generator was the limit: the latencies say more about this machine than about the target",
  };
  const tone = { VALID: "good", SUSPECT: "warn", INVALID: "bad" };
  const stopped = {
    interrupt: "it was interrupted",
    "worker-loss": "a worker was lost",
    threshold: "a threshold stopped it",
    abort: "the script stopped it",
    "no-answer": "nothing answered",
    control: "it was told to stop",
    error: "a function of the script raised",
  };

  // Nothing was sent yet: a run that waits for "Begin", or whose first second is not over.
  const isWaiting = ({ state, timeline }) => !state.complete && !timeline.t.length;

  const phases = { starting: "Starting", "warm-up": "Warming up", paused: "Paused", stopping: "Stopping" };

  // What became of the run, in a word and a sentence; the word is that of outcome_of in fastload/outputs/streams/plain_summary.py.
  function resultOf(data) {
    const { summary, state } = data;
    const found = summary.thresholds || [];
    if (isWaiting(data)) {
      const sentence = found.length ? `${numberOf(found.length, "threshold")} ${found.length === 1 ? "waits" : "wait"} for the first figures.` : "Nothing was sent yet.";
      return { word: "Ready", tone: "plain", sentence };
    }
    const failed = found.filter((one) => !one.ok && !isOpen(data, one)).length;
    const open = found.filter((one) => isOpen(data, one)).length;
    // That a function raised is told below, with what it raised.
    const isTold = summary.stopped_by === "error" && (summary.hook_errors || []).length;
    const after = summary.stopped_by && !isTold
      ? `${stopped[summary.stopped_by] || summary.stopped_by}${summary.stop_reason ? ` (${summary.stop_reason})` : ""} after ${duration(summary.duration_s)}`
      : "";
    const held = found.length
      ? failed
        ? found.length === 1
          ? "the threshold failed"
          : `${failed} of ${found.length} thresholds failed`
        : `${found.length === 1 ? "the threshold holds" : `${open ? found.length - open : "all"} ${open ? "of " : ""}${found.length} thresholds hold`}`
      : "no thresholds were set";
    const others = reasonsOf(summary);
    const sentence = sentenceOf([failed || !others.length ? held : "", ...others, after]);
    if (isRunning(data)) {
      const soFar = open === found.length && open ? "no threshold has data yet" : held.replace(/\bholds?\b/, "$& so far");
      return {
        word: phases[state.phase] || "Running",
        tone: failed ? "warn" : "plain",
        sentence: sentenceOf([soFar, open && open < found.length ? `${count(open)} without data yet` : ""]),
      };
    }
    if (summary.stopped_by === "unknown")
      return {
        word: "Incomplete",
        tone: "warn",
        sentence: sentenceOf([`the data ends after ${duration(summary.duration_s)}, before the end of the run`, held]),
      };
    if (!summary.passed) return { word: "Failed", tone: "bad", sentence };
    if (found.length) return { word: "Passed", tone: "good", sentence };
    return { word: summary.stopped_by ? "Stopped" : "Finished", tone: "plain", sentence };
  }

  const isRunning = ({ state }) => !state.complete;

  // Whether a threshold has had no data so far, in a run that goes on.
  const isOpen = (data, one) => isRunning(data) && (one.observed === null || one.observed === undefined);

  function reasonsOf(summary) {
    const lost = (summary.workers || []).filter((one) => one.lost).length;
    const metrics = summary.metrics || {};
    const raised = (summary.exceptions || []).length && !(metrics.iterations || {}).count;
    return [
      lost ? `${numberOf(lost, "worker")} ${lost === 1 ? "was" : "were"} lost` : "",
      raised ? "every iteration raised" : "",
      ...(summary.hook_errors || []).map((one) => `${one.hook} failed: ${lastLine(one.message)}`),
    ].filter(Boolean);
  }

  // Of a traceback that is the error itself.
  const lastLine = (text) => text.trim().split("\n").at(-1).trim().replace(/\.$/, "");

  function sentenceOf(parts) {
    const joined = parts.filter(Boolean).join("; ");
    return joined ? `${joined[0].toUpperCase()}${joined.slice(1)}.` : "";
  }

  function make() {
    const element = el("section", { id: "outcome", "aria-label": "Outcome" });
    const parts = {
      head: el("div.title"),
      result: el("div.result"),
      thresholds: el("div"),
      notes: el("ul.notes", { "aria-label": "Notes" }),
    };
    element.append(parts.head, parts.result, parts.thresholds, parts.notes);
    const tiles = section("numbers", "Numbers");
    const grid = el("dl.tiles");
    const account = el("p.account");
    tiles.append(grid, account);
    return {
      element,
      tiles,
      parts,
      update: (data) => {
        drawHead(parts.head, data);
        drawResult(parts.result, data);
        drawThresholds(parts.thresholds, data);
        fill(
          parts.notes,
          [...(data.summary.notes || []), fastload.tables.more(data, "notes")]
            .filter(Boolean)
            .map((note) => el("li", null, note)),
        );
        parts.notes.hidden = !(data.summary.notes || []).length;
        fill(grid, tilesOf(data).map(tile));
        account.textContent = accountOf(data.summary.requests || {}, isRunning(data));
        account.hidden = !account.textContent;
      },
    };
  }

  function drawHead(head, data) {
    const { run, summary } = data;
    const began = run.started_at ? `${run.started_at.slice(0, 10)} ${run.started_at.slice(11, 19)} UTC` : "";
    const title = run.title || "Load test";
    const shown = title.includes(run.base_url) ? "" : run.base_url;
    fill(
      head,
      el("h1", null, title),
      el(
        "p.about",
        null,
        [shown, changedLoad(summary), began, isWaiting(data) ? "" : `${duration(summary.duration_s)} measured`]
          .filter(Boolean)
          .join(" · "),
      ),
    );
  }

  // The load that was asked for, and what somebody made of it.
  function changedLoad({ plan, load_changes: changes = [] }) {
    const asked = loadOf(plan || {});
    if (!changes.length) return asked;
    const last = changes.at(-1);
    const whose = (plan?.scenarios || []).length > 1 ? `${last.scenario} ` : "";
    const times = changes.length > 1 ? `${count(changes.length)} times, last ` : "";
    return `${asked} at first, changed ${times}to ${whose}${count(last.after)} ${last.unit} at ${duration(Math.round(last.t_s))}`;
  }

  function loadOf(plan) {
    const all = plan.scenarios || [];
    if (all.length !== 1) return all.length ? numberOf(all.length, "scenario") : "";
    const [one] = all;
    if (one.executor === "constant-arrival-rate") return `${count(one.rate_per_s)} starts/s`;
    const upTo = one.stages ? "up to " : "";
    const levels = (one.stages || []).map(([, target]) => target);
    if (one.start_rate_per_s !== undefined)
      return `${upTo}${count(Math.max(one.start_rate_per_s, ...levels))} starts/s`;
    const most = Math.max(one.vus || 0, one.start_vus || 0, ...levels);
    return most ? `${upTo}${numberOf(most, "VU")}` : one.executor;
  }

  function drawResult(element, data) {
    const verdict = isWaiting(data) ? waitingVerdict : data.summary.verdict || {};
    const { word, tone: colour, sentence } = resultOf(data);
    fill(
      element,
      el(`div.card.${colour}`, null, el("p.word", { id: "result" }, word), el("p", null, sentence)),
      el(
        `div.card.${tone[verdict.state] || "plain"}`,
        null,
        el(
          "p.word",
          { id: "verdict" },
          verdict.state ? `Generator ${verdict.state}` : verdict.word || "No verdict",
          el("small", null, meaning[verdict.state] || ""),
        ),
        el(
          "ul",
          null,
          (verdict.reasons || []).map((reason) => el("li", null, reason)),
        ),
        verdict.remedy ? el("p.remedy", null, verdict.remedy) : null,
      ),
      verdict.limit ? el("p.limit", { id: "limit" }, el("b", null, "Limit"), verdict.limit) : null,
      // Runs of earlier versions have one limit.
      verdict.further_limits?.length
        ? el("ul.limits", { "aria-label": "Further limits" }, verdict.further_limits.map((line) => el("li", null, line)))
        : null,
    );
  }

  const waitingVerdict = { word: "Generator not judged yet", reasons: ["it is judged from the first second on"] };

  function drawThresholds(element, data) {
    const results = data.summary.thresholds || [];
    fill(
      element,
      results.length
        ? el(
            "ul.thresholds",
            { "aria-label": "Thresholds" },
            results.map((one) => {
              const [colour, mark, word] = isOpen(data, one) ? ["plain", "…", "waiting"] : one.ok ? ["good", "✓", "holds"] : ["bad", "✗", "failed"];
              return el(
                `li.${colour}`,
                null,
                el("span.mark", null, mark, el("span.unseen", null, ` ${word}: `)),
                el("span.metric", null, one.metric),
                el("code", null, one.expression),
                el("b", null, isOpen(data, one) ? "waiting" : observed(one)),
              );
            }),
          )
        : null,
    );
  }

  // As the report in the terminal writes it.
  function observed(one) {
    if (one.observed === null || one.observed === undefined) return one.reason ? `no data: ${one.reason}` : "no data";
    const when = one.at_s === null || one.at_s === undefined ? "" : ` after ${duration(Number(one.at_s.toFixed(1)))}`;
    const shown = typeof one.observed === "string" ? one.observed : numberIn(one);
    return `${one.aggregate ? `${one.aggregate}=` : ""}${shown}${when}`;
  }

  function numberIn(one) {
    if (one.kind === "rate") return percent(one.observed);
    if (one.unit === "%")
      return one.observed < 100 ? `${Number(one.observed.toPrecision(3))}%` : `${units.fixed(one.observed, 0)}%`;
    return one.kind === "counter" && one.aggregate === "rate"
      ? perSecond(one.unit, one.observed)
      : units.of(one.unit, one.observed);
  }

  // Where every request went, if not all of them are in the metrics.
  function accountOf(counts, running) {
    const elsewhere = [
      [counts.interrupted, running ? "in flight" : "interrupted at the end"],
      [counts.setup, "by setup and teardown, in no metric"],
      [counts.warmup, "during warm-up, in no metric"],
      [counts.lost, "in flight in a lost worker"],
    ].filter(([value]) => value);
    const iterations = counts.iterations_interrupted
      ? ` ${numberOf(counts.iterations_interrupted, "iteration")} interrupted before the end.`
      : "";
    if (!elsewhere.length) return iterations.trim();
    const parts = [[counts.finished, "finished"], [counts.failed, "failed"], ...elsewhere];
    const sum = parts.map(([value, name]) => `${count(value)} ${name}`).join(" + ");
    return `${numberOf(counts.started, "request")} started = ${sum}.${iterations}`;
  }

  function tile([name, value, more, colour]) {
    return el(
      `div${colour ? `.${colour}` : ""}`,
      null,
      el("dt", null, name),
      el("dd", null, value, more ? el("small", null, more) : null),
    );
  }

  function tilesOf({ summary, timeline: line }) {
    const metrics = summary.metrics || {};
    const get = (name) => metrics[name] || {};
    const subject = fastload.columns.subjects[line.of];
    const [ended, failed, service] = [get(subject.count), get(subject.failed), get(subject.service)];
    const leads = line.headline === "response";
    const trend = leads ? get(subject.response) : service;
    const clock = leads ? "due to done" : subject.clock;
    // Only the first request of an iteration has a due time: of how few a percentile is must be seen beside it.
    const of = trend.count < service.count ? `, ${count(trend.count)} of ${count(service.count)}` : "";
    const tries = (failed.fails || 0) + (failed.passes || 0);
    const messages = (get("ws_msgs_sent").count || 0) + (get("ws_msgs_received").count || 0);
    const latency = (name, key) => [name, ms(trend[key]), `${clock}${of}`];
    return [
      [subject.noun, count(ended.count || 0), perSecond("", ended.rate)],
      ...(tries
        ? [["Failed", percent(failed.rate), `${count(failed.fails || 0)} of ${count(tries)}`, failed.fails ? "bad" : ""]]
        : []),
      ...statusesOf(summary.endpoints || []),
      ...(trend.count
        ? [latency("p50", "med"), latency("p95", "p(95)"), latency("p99", "p(99)"), latency("Longest", "max")]
        : []),
      ...(summary.plan?.kind === "bench" && !get("iterations").count
        ? []
        : [["Iterations", count(get("iterations").count || 0), perSecond("", get("iterations").rate)]]),
      ...othersOf(get, line.of),
      ...(messages ? [["Messages", count(messages), `${perSecond("", messageRate(get))}, both ways`]] : []),
      ...(get("ws_ping").count ? [["Ping p95", ms(get("ws_ping")["p(95)"]), "ping to pong"]] : []),
      ...(get("dropped_iterations").count
        ? [["Dropped", count(get("dropped_iterations").count), "starts without a free VU", "bad"]]
        : []),
      ["Virtual users", count(get("vus").max ?? 0), "at most"],
      ...(get("data_received").count || get("data_sent").count || line.of === "http_req"
        ? [
            ["Received", bytes(get("data_received").count || 0), perSecond("bytes", get("data_received").rate)],
            ["Sent", bytes(get("data_sent").count || 0), perSecond("bytes", get("data_sent").rate)],
          ]
        : []),
    ];
  }

  // How many requests had which status, unless all of them had 200; 0 is no response.
  function statusesOf(endpoints) {
    const counts = new Map();
    for (const { statuses } of endpoints)
      for (const [status, amount] of Object.entries(statuses)) counts.set(status, (counts.get(status) || 0) + amount);
    if ([...counts.keys()].every((status) => status === "200")) return [];
    const [[most, amount], ...others] = [...counts].sort(([, left], [, right]) => right - left);
    const word = (status) => (status === "0" ? "none" : status);
    const rest = others.map(([status, each]) => `${word(status)}: ${count(each)}`).join(", ");
    return [["Status", word(most), [numberOf(amount, "request"), rest].filter(Boolean).join("; ")]];
  }

  // What else ended than that which leads, and how much of it failed.
  function othersOf(get, lead) {
    return ["call", "ws", "stream"]
      .filter((name) => name !== lead)
      .flatMap((name) => {
        const { noun, count: counter, failed } = fastload.columns.subjects[name];
        // The request that brings a stream is in the share of requests that failed.
        const { fails = 0, passes = 0 } = name === "stream" ? {} : get(failed);
        const ended = get(counter);
        return [
          ...(ended.count || fails ? [[noun, count(ended.count || 0), perSecond("", ended.rate)]] : []),
          ...(fails ? [[`${noun} failed`, percent(get(failed).rate), `${count(fails)} of ${count(fails + passes)}`, "bad"]] : []),
        ];
      });
  }

  return { make, resultOf };
})();
