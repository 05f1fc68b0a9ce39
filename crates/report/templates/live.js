"use strict";
(() => {
  const live = document.getElementById("live");
  const state = document.getElementById("state");
  const follow = document.getElementById("follow");
  const every = 4000;
  let last = "";
  // Details that the reader opened stay open, and the focus stays where it was.
  const keyed = (root) => [...root.querySelectorAll("details[data-key]")];
  const put = (text) => {
    const open = new Set(keyed(live).filter((d) => d.open).map((d) => d.dataset.key));
    const focus = document.activeElement && document.activeElement.closest("[data-key]");
    const key = focus && live.contains(focus) ? focus.dataset.key : null;
    live.innerHTML = text;
    for (const d of keyed(live)) d.open = open.has(d.dataset.key) || d.open;
    if (key) {
      const again = [...live.querySelectorAll("[data-key]")].find((e) => e.dataset.key === key);
      const target = again && (again.querySelector(":scope > summary") || again);
      if (target) target.focus({ preventScroll: true });
    }
  };
  const look = async () => {
    if (follow.checked && !document.hidden) {
      try {
        const response = await fetch(live.dataset.source, { cache: "no-store" });
        if (response.status === 404) {
          state.textContent = "This run is gone. What is shown is the last that was seen.";
        } else if (!response.ok) {
          state.textContent = "The page could not be refreshed; it keeps trying.";
        } else {
          const text = await response.text();
          if (text !== last) put(text);
          last = text;
          state.textContent = "";
        }
      } catch {
        state.textContent = "The server does not answer; the page keeps trying.";
      }
    }
    setTimeout(look, every);
  };
  look();
})();
