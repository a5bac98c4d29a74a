// Elements, and light and dark. Whatever comes from a script or a server goes in as text, never as HTML.
window.fastload = window.fastload || {};
fastload.dom = (() => {
  "use strict";

  // el("p.note", {title: "x"}, "text", child, [more]): attributes are set as such; on* takes a function.
  function el(name, attributes, ...children) {
    const [tag, ...classes] = name.split(".");
    const element = document.createElement(tag || "div");
    if (classes.length) element.className = classes.join(" ");
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value === true ? "" : value);
    }
    append(element, children);
    return element;
  }

  function append(element, children) {
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) element.append(child);
    }
  }

  function fill(element, ...children) {
    element.replaceChildren();
    append(element, children);
    return element;
  }

  // What is folded away until somebody opens it. It stays the same element, open or not and with the focus that it had,
  // while what is around it is drawn anew: `show` says what it has, and nothing hides it; `keep` draws around it.
  function fold() {
    const [head, body] = [el("summary"), el("div")];
    const element = el("details.fold", { hidden: true }, head, body);
    const show = (text, ...children) => {
      element.hidden = !text;
      if (head.textContent !== text) head.textContent = text;
      fill(body, children);
    };
    const keep = (draw) => {
      const hadFocus = document.activeElement === head;
      draw();
      if (hadFocus) head.focus({ preventScroll: true });
    };
    return { element, show, keep };
  }

  // A section of the page with its heading, and beside that a note, if one is given.
  function section(id, title, note) {
    const head = el("h2", { id: `${id}-title` }, title, note === undefined ? null : el("small", null, note));
    return el("section", { id, "aria-labelledby": `${id}-title` }, head);
  }

  const themes = ["auto", "light", "dark"];
  const listeners = [];

  function remembered() {
    try {
      const name = localStorage.getItem("fastload-theme");
      return themes.includes(name) ? name : "auto";
    } catch {
      return "auto"; // A page that may not remember, as some browsers hold it for files.
    }
  }

  function setTheme(name) {
    document.documentElement.dataset.theme = name;
    try {
      localStorage.setItem("fastload-theme", name);
    } catch {
      /* It holds until the page is closed. */
    }
    showTheme(name);
    for (const listener of listeners) listener();
  }

  function showTheme(name) {
    const button = document.getElementById("theme");
    if (!button) return;
    const title = name[0].toUpperCase() + name.slice(1);
    button.textContent = title;
    button.setAttribute("aria-label", `Colours: ${name}. Change`);
  }

  function startTheme() {
    const name = remembered();
    document.documentElement.dataset.theme = name;
    showTheme(name);
    const button = document.getElementById("theme");
    if (button) {
      button.addEventListener("click", () => {
        setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]);
      });
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => listeners.forEach((one) => one()));
  }

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  return { el, fill, fold, section, startTheme, setTheme, color, onTheme: (listener) => listeners.push(listener) };
})();
