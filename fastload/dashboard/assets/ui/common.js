// For the form and the bar. Asks fastload ui: JSON there and back. What it refuses is thrown as {error, hint, fields}.
window.fastload = window.fastload || {};
fastload.ask = async (path, body) => {
  "use strict";
  const options = { headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw { error: "fastload ui does not answer", hint: "see whether it still runs", fields: {}, lost: true };
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok || answer.error) {
    throw { error: answer.error || response.statusText, hint: answer.hint || "", fields: answer.fields || {} };
  }
  return answer;
};

// Only what changes: readers of a screen hear it.
fastload.setText = (element, text) => {
  "use strict";
  if (element.textContent !== text) element.textContent = text;
};

// A message of the command line as a sentence.
fastload.sentence = (text) => {
  "use strict";
  // Not the name of a scenario.
  const whole = /^\S+:/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?:]$/.test(whole) ? whole : `${whole}.`;
};

// A message and its hint into `element`, which is hidden without one.
fastload.showFault = (element, fault) => {
  "use strict";
  const { el, fill } = fastload.dom;
  element.hidden = !fault;
  if (!fault) return fill(element);
  const message = fault.error.includes("\n") ? el("pre", null, fault.error) : el("p", null, fastload.sentence(fault.error));
  return fill(element, message, fault.hint ? el("p.hint", null, fastload.sentence(fault.hint)) : null);
};

// Menus close when somebody goes on elsewhere, or presses Escape.
(() => {
  "use strict";
  const closeOthers = (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) {
      if (event.key === "Escape" || (event.type === "click" && !menu.contains(event.target))) {
        menu.open = false;
        if (event.key === "Escape") menu.querySelector("summary").focus();
      }
    }
  };
  document.addEventListener("click", closeOthers);
  document.addEventListener("keydown", closeOthers);
})();
