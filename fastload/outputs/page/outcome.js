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
    const search = (summary.plan || {}).capacity;
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
      : search
        ? searchWords(search, summary.capacity)
        : "no thresholds were set";
    const others = reasonsOf(summary);
    const sentence = sentenceOf([failed || !others.length ? held : "", ...others, after]);
    if (isRunning(data) && search)
      return { word: phases[state.phase] || "Searching", tone: "plain", sentence: "The load is set step by step, until an objective breaks." };
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
    if (found.length || isDemanded(search)) return { word: "Passed", tone: "good", sentence };
    return { word: summary.stopped_by ? "Stopped" : "Finished", tone: "plain", sentence };
  }

  const isDemanded = (search) => Boolean(search) && search.at_least !== null && search.at_least !== undefined;

  // What became of a capacity search: the answer itself stands above.
  function searchWords(search, result) {
    if (!isDemanded(search)) return result ? "the search is over" : "the search has no result";
    return result && result.meets_demand ? "the capacity that was asked for is shown" : "the capacity that was asked for is not shown";
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

  // What the first screen of a live page has room for; the rest is folded, and on other pages nothing is.
  const MOST_REASONS = 2;
  const MOST_REASON = 200;
  const MOST_METRIC = 56;
  const MOST_THRESHOLDS = 6;
  const THRESHOLDS_BESIDE_FOLD = 4;
  const isFolding = ({ kind }) => kind === "live";

  function make() {
    const element = el("section", { id: "outcome", "aria-label": "Outcome" });
    const folds = { reasons: fastload.dom.fold(), thresholds: fastload.dom.fold() };
    const parts = {
      head: el("div.title"),
      result: el("div.result"),
      thresholds: el("div"),
      notes: el("ul.notes", { "aria-label": "Notes" }),
    };
    element.append(parts.head, parts.result, parts.thresholds, parts.notes);
    const tiles = section("numbers", "Numbers", "");
    const grid = el("dl.tiles");
    const account = el("p.account");
    tiles.append(grid, account);
    return {
      element,
      tiles,
      parts,
      update: (data) => {
        drawHead(parts.head, data);
        folds.reasons.keep(() => drawResult(parts.result, data, folds.reasons));
        folds.thresholds.keep(() => drawThresholds(parts.thresholds, data, folds.thresholds));
        fill(
          parts.notes,
          [...(data.summary.notes || []), fastload.tables.more(data, "notes")]
            .filter(Boolean)
            .map((note) => el("li", null, note)),
        );
        parts.notes.hidden = !(data.summary.notes || []).length;
        fill(grid, tilesOf(data).map(tile));
        tiles.querySelector("small").textContent = fastload.capacity.isSearch(data) ? fastload.tables.ofAllSteps : "";
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
    const isOne = (plan?.scenarios || []).length === 1;
    const amount = (one) => `${isOne ? "" : `${one.scenario} `}${one.unit === "VUs" ? numberOf(one.after, "VU") : `${count(one.after)} ${one.unit}`}`;
    // What was changed before the measured part is what that began with; of each scenario the last.
    const first = Object.values(Object.fromEntries(changes.filter((one) => !one.t_s).map((one) => [one.scenario, one])));
    const begun = first.length ? `${asked}, begun with ${first.map(amount).join(", ")}` : asked;
    const later = changes.filter((one) => one.t_s);
    if (!later.length) return begun;
    // Not all of them may be listed; the last one of each scenario is, and has its number.
    const numbers = Object.values(Object.fromEntries(later.map((one) => [one.scenario, one.number])));
    const all = Math.max(later.length, numbers.reduce((sum, number) => sum + (number || 0), 0));
    const last = later.at(-1);
    const times = all > 1 ? `${count(all)} times, last ` : "";
    return `${begun}${first.length ? "" : " at first"}, changed ${times}to ${amount(last)} at ${duration(Math.round(last.t_s))}`;
  }

  function loadOf(plan) {
    if (plan.capacity) return `search from ${fastload.capacityCharts.loadText({ settings: plan.capacity }, plan.capacity.first)} on`;
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

  function drawResult(element, data, rest) {
    const isSearching = isRunning(data) && fastload.capacity.isSearch(data);
    const verdict = isWaiting(data) ? waitingVerdict : isSearching ? searchingVerdict : data.summary.verdict || {};
    const { word, tone: colour, sentence } = resultOf(data);
    const reasons = verdict.reasons || [];
    const isLong = reasons.length > MOST_REASONS || [...reasons, verdict.remedy || ""].some((text) => text.length > MOST_REASON);
    const isFolded = isFolding(data) && isLong;
    const list = (some) => el("ul", null, some.map((reason) => el("li", null, el("span", null, reason))));
    const remedy = verdict.remedy ? el("p.remedy", null, verdict.remedy) : null;
    if (isFolded) rest.show(`${reasons.length > 1 ? `All ${reasons.length} reasons` : "The whole reason"}, and what to do`, list(reasons), remedy);
    else rest.show("");
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
        list(isFolded ? reasons.slice(0, MOST_REASONS) : reasons),
        isFolded ? rest.element : remedy,
      ),
      verdict.limit ? el("p.limit", { id: "limit", title: verdict.limit }, el("b", null, "Limit"), verdict.limit) : null,
      // Runs of earlier versions have one limit.
      verdict.further_limits?.length
        ? el("ul.limits", { "aria-label": "Further limits" }, verdict.further_limits.map((line) => el("li", null, line)))
        : null,
    );
  }

  const waitingVerdict = { word: "Generator not judged yet", reasons: ["it is judged from the first second on"] };

  // Over steps that are too much for the target, the figures of the whole run accuse nobody.
  const searchingVerdict = { word: "Generator judged in each step", reasons: ["in the end, the verdict is on the step that confirmed the capacity"] };

  const stateOf = (data, one) => (isOpen(data, one) ? "waiting" : one.ok ? "holds" : "failed");
  const looks = { failed: ["bad", "✗"], waiting: ["plain", "…"], holds: ["good", "✓"] };

  function drawThresholds(element, data, rest) {
    const results = data.summary.thresholds || [];
    const list = (some, title) => el("ul.thresholds", { "aria-label": title }, some.map((one) => drawThreshold(data, one)));
    if (!isFolding(data) || results.length <= MOST_THRESHOLDS) {
      rest.show("");
      fill(element, results.length ? list(results, "Thresholds") : null);
      return;
    }
    // What failed comes first, so that it is seen.
    const order = Object.keys(looks);
    const sorted = [...results].sort((left, right) => order.indexOf(stateOf(data, left)) - order.indexOf(stateOf(data, right)));
    const folded = sorted.slice(THRESHOLDS_BESIDE_FOLD);
    const counts = order.map((state) => [folded.filter((one) => stateOf(data, one) === state).length, state]);
    const words = counts.filter(([number]) => number).map(([number, state]) => `${count(number)} ${state === "holds" && number > 1 ? "hold" : state}`);
    rest.show(`${folded.length} more: ${words.join(", ")}`, list(folded, "More thresholds"));
    fill(element, list(sorted.slice(0, THRESHOLDS_BESIDE_FOLD), "Thresholds"), rest.element);
  }

  // Names differ in their ends.
  const shortened = (text) => (text.length > MOST_METRIC ? `${text.slice(0, MOST_METRIC / 2 - 1)}…${text.slice(-MOST_METRIC / 2)}` : text);

  function drawThreshold(data, one) {
    const state = stateOf(data, one);
    const [colour, mark] = looks[state];
    const shown = state === "waiting" ? "waiting" : observed(one);
    return el(
      `li.${colour}`,
      null,
      el("span.mark", null, mark, el("span.unseen", null, ` ${state}: `)),
      el("span.metric", { title: one.metric }, isFolding(data) ? shortened(one.metric) : one.metric),
      el("code", { title: one.expression }, one.expression),
      el("b", { title: shown }, shown),
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
      ...(trend.count && !fastload.capacity.isSearch({ summary })
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
