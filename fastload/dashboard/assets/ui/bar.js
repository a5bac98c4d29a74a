// On the page of one run: how it ended, whether another one is under way, and a start of the same again.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const { setText } = fastload;
  const POLL_MS = 1000;
  const number = Number(byId("ui-bar").dataset.run);
  let form = null;

  function show(data) {
    const run = data.runs.find((one) => one.run === number);
    if (!run) return;
    form = run.form;
    const isOver = run.exit_code !== null;
    setText(byId("ui-state"), isOver ? run.meaning : run.state);
    byId("ui-state").className = { passed: "good", failed: "bad" }[run.outcome] || "";
    byId("ui-again").hidden = !isOver || data.current !== null;
    const newer = byId("ui-newer");
    newer.hidden = data.current === null || data.current === number;
    newer.textContent = `Run ${data.current} is under way`;
    newer.href = `../${data.current}/`;
  }

  async function startAgain() {
    byId("ui-again").disabled = true;
    try {
      const run = await fastload.ask("../../api/start", form);
      location.assign(`../${run.run}/`);
    } catch (fault) {
      const said = Object.values(fault.fields).map((one) => one.message).join(", ");
      fastload.showFault(byId("ui-fault"), { error: said || fault.error, hint: fault.hint });
      byId("ui-again").disabled = false;
    }
  }

  async function run() {
    byId("ui-again").addEventListener("click", startAgain);
    for (;;) {
      try {
        show(await fastload.ask("../../api/runs"));
      } catch {
        setText(byId("ui-state"), "fastload ui does not answer");
        byId("ui-again").hidden = true;
      }
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
  }

  run();
})();
