// The charts of who made the load and who took it: workers, host, target.
window.fastload = window.fastload || {};
fastload.machineCharts = (() => {
  "use strict";
  const { units } = fastload;
  const { ms, bytes } = units;
  const { has, peak, series, used, cpu, bytesPerSecond } = fastload.columns;
  const palette = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];
  const mostWorkers = 8;

  const generator = {
    id: "chart-workers",
    title: "Generator CPU",
    hint: "Each worker; 100% is one core",
    axis: "time",
    height: 120,
    unit: cpu,
    restName: "mean",
    most: (most) => Math.max(most, 100),
    series: ({ timeline: line, summary }) => {
      const all = Object.entries(line.workers);
      const known = new Map((summary.workers || []).map((one) => [String(one.index), one.cpu_percent.mean]));
      if (all.length <= mostWorkers)
        return all.map(([index, column], place) =>
          series(line, `worker ${index}`, column, palette[place], units.cpu, "mean", known.get(index)),
        );
      const each = (pick) =>
        line.t.map((_, row) => {
          const values = all.map(([, column]) => column[row]).filter((value) => value !== null);
          return values.length ? pick(values) : null;
        });
      return [
        series(
          line,
          "busiest worker",
          each((values) => Math.max(...values)),
          "c2",
          units.cpu,
          "mean",
        ),
        series(
          line,
          `mean of ${all.length}`,
          each((values) => values.reduce((sum, value) => sum + value, 0) / values.length),
          "c1",
          units.cpu,
          "mean",
        ),
        series(
          line,
          "idlest worker",
          each((values) => Math.min(...values)),
          "c7",
          units.cpu,
          "mean",
        ),
      ];
    },
    caption: ({ timeline: line }) => {
      const tops = Object.values(line.workers).map((column) => Math.max(0, ...column.map((value) => value || 0)));
      return `Busiest second of a worker: ${units.cpu(Math.max(0, ...tops))}.`;
    },
    empty: ({ timeline: line, summary }) =>
      Object.keys(line.workers).length && (summary.workers || []).some((one) => one.cpu_percent.mean !== null)
        ? null
        : "Not sampled: the run ended within a second.",
  };

  const lag = {
    id: "chart-lag",
    title: "Loop lag",
    hint: "The longest stall of a worker's event loop",
    axis: "time",
    height: 96,
    unit: ms,
    restName: "peak",
    series: ({ timeline: line, summary }) => {
      const known = (summary.workers || []).map((one) => one.lag_max_ms);
      return [
        series(line, "longest stall", line.lag, "c6", ms, "peak", known.length ? Math.max(...known) : null, {
          area: true,
        }),
      ];
    },
    caption: ({ timeline: line }) => `Longest: ${peak(line, line.lag, ms)}.`,
    empty: ({ timeline: line }) => (has(line.lag) ? null : "Not measured."),
  };

  const machine = {
    id: "chart-cpu",
    title: "Host and target CPU",
    hint: "Host: all cores are 100%. Target: one core is",
    axis: "time",
    height: 120,
    unit: cpu,
    restName: "mean",
    most: (most) => Math.max(most, 100),
    series: ({ timeline: line, summary }) => [
      ...(has(line.host_cpu)
        ? [series(line, "host", line.host_cpu, "c7", units.cpu, "mean", used(summary, "host", "mean", "cpu_percent"))]
        : []),
      ...(has(line.target_cpu)
        ? [
            series(
              line,
              "target",
              line.target_cpu,
              "c3",
              units.cpu,
              "mean",
              used(summary, "target", "mean", "cpu_percent"),
              { width: 2 },
            ),
          ]
        : []),
    ],
    caption: ({ timeline: line }) =>
      has(line.target_cpu)
        ? `Target at most ${peak(line, line.target_cpu, units.cpu)}.`
        : `Host at most ${peak(line, line.host_cpu, units.cpu)}.`,
    empty: ({ timeline: line }) => (has(line.host_cpu) || has(line.target_cpu) ? null : "Not sampled."),
  };
  const noTarget = "The target was not sampled: it does not run on this machine, or was not named with --watch.";

  const targetMemory = {
    id: "chart-target-memory",
    title: "Target memory",
    hint: "Resident, all of its processes",
    axis: "time",
    height: 96,
    unit: bytes,
    restName: "peak",
    series: ({ timeline: line, summary }) => [
      series(line, "target", line.target_memory, "c3", bytes, "peak", used(summary, "target", "max", "rss_bytes"), {
        width: 2,
      }),
    ],
    caption: ({ timeline: line }) => `Most: ${peak(line, line.target_memory, bytes)}.`,
    empty: ({ timeline: line }) => (has(line.target_memory) ? null : noTarget),
  };

  const memory = {
    id: "chart-memory",
    title: "Host memory",
    hint: "In use, all programs together",
    axis: "time",
    height: 96,
    unit: bytes,
    restName: "peak",
    series: ({ timeline: line, summary }) => [
      series(line, "host", line.host_memory, "c7", bytes, "peak", used(summary, "host", "max", "memory_used_bytes")),
    ],
    caption: ({ timeline: line }) => `Most: ${peak(line, line.host_memory, bytes)}.`,
    empty: ({ timeline: line }) => (has(line.host_memory) ? null : "Not sampled."),
  };

  const network = {
    id: "chart-network",
    title: "Network",
    hint: "All interfaces of the host, loopback included",
    axis: "time",
    height: 110,
    unit: bytesPerSecond,
    restName: "mean",
    series: ({ timeline: line, summary }) => [
      series(
        line,
        "sent",
        line.net_sent,
        "c1",
        bytesPerSecond,
        "mean",
        used(summary, "host", "mean", "net_sent_bytes_per_s"),
      ),
      series(
        line,
        "received",
        line.net_received,
        "c2",
        bytesPerSecond,
        "mean",
        used(summary, "host", "mean", "net_received_bytes_per_s"),
        { dash: "dash" },
      ),
    ],
    caption: ({ timeline: line }) => `Received at most ${peak(line, line.net_received, bytesPerSecond)}.`,
    empty: ({ timeline: line }) => (has(line.net_sent) ? null : "Not sampled."),
  };

  return { generator, lag, machine, targetMemory, memory, network };
})();
