// Uses the live page as a reader would and leaves what it found in the document (see browser.rs).
"use strict";
window.addEventListener("load", () => {
  const found = [];
  const expect = (fact, what) => { if (!fact) found.push(what); };
  const shown = (e) => { const r = e.getBoundingClientRect(); return r.width > 20 && r.height > 3; };
  const live = document.getElementById("live");
  const reach = () => {
    for (const d of document.querySelectorAll("details")) d.open = true;
    for (const e of document.querySelectorAll("a[href], summary, input, [tabindex]")) {
      e.focus();
      expect(document.activeElement === e, "the keyboard cannot reach " + e.outerHTML.slice(0, 60));
      expect(e.tabIndex === 0, "an odd place in the order of focus: " + e.outerHTML.slice(0, 60));
    }
  };
  const check = () => {
    expect([...document.querySelectorAll("progress")].every((p) => shown(p) && p.getAttribute("aria-label")), "a progress bar is not visible or has no name");
    expect(document.getElementById("state").textContent === "", "the page says: " + document.getElementById("state").textContent);
    expect(document.getElementById("follow").checked, "the page does not follow");
    if (location.pathname === "/") {
      expect(live.querySelectorAll("a[href^='/run/']").length > 0, "no run is listed");
    } else {
      expect(live.querySelectorAll("figure").length > 3, "few figures");
      expect([...live.querySelectorAll("figure .panel svg")].every(shown), "a panel is not visible");
      expect([...live.querySelectorAll("svg.tc[role=img]")].every((s) => s.getAttribute("aria-label")), "a drawing without a description");
    }
    reach();
    for (const problem of [...overflowing(), ...faint()].slice(0, 12)) found.push(problem);
    document.documentElement.dataset.found = found.length ? found.join("; ") : "nothing wrong";
  };
  // What is there at first is "Reading …"; the rest is fetched.
  const wait = (left) => (live.querySelector("h1") || left === 0 ? check() : setTimeout(() => wait(left - 1), 200));
  wait(100);
});
