// A page that comes with its data draws itself.
(() => {
  "use strict";
  const text = document.getElementById("data").textContent.trim();
  if (text && text !== "null") fastload.render(JSON.parse(text));
})();
