// Uses the report as a reader would and leaves what it found in the document (see browser.rs).
"use strict";
window.addEventListener("load", () => {
  const found = [];
  const expect = (fact, what) => { if (!fact) found.push(what); };
  const shown = (e) => { const r = e.getBoundingClientRect(); return r.width > 20 && r.height > 10; };
  const figures = [...document.querySelectorAll("figure")];
  expect(figures.length > 8, "few figures");
  for (const f of figures) expect([...f.querySelectorAll(".panel svg")].every(shown), "a panel of " + f.id + " is not visible");
  for (const s of document.querySelectorAll("svg.tc")) expect(s.getAttribute("aria-label"), "a drawing without a description");
  expect(document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1, "the page is wider than the window");
  for (const e of document.querySelectorAll(".finding tbody :is(td, th)")) expect(e.scrollWidth <= e.clientWidth + 1, "a cell runs into the next: " + e.textContent);
  const form = document.getElementById("filters");
  const cards = [...document.querySelectorAll(".transcript")];
  const visible = () => cards.filter((c) => shown(c));
  expect(cards.length >= 10 && visible().length === cards.length, "transcripts are missing");
  const set = (name, value) => { form.elements[name].value = value; form.dispatchEvent(new Event("input", { bubbles: true })); };
  set("change", "fixed");
  expect(visible().length > 0 && visible().every((c) => c.dataset.change === "fixed"), "the filter by change does not work");
  set("change", "");
  const fault = [...form.elements.fault.options].map((o) => o.value).filter(Boolean)[0];
  set("fault", fault);
  expect(visible().length > 0 && visible().every((c) => c.dataset.faults.split(" ").includes(fault)), "the filter by fault does not work");
  set("fault", "");
  set("text", "no such words anywhere");
  expect(visible().length === 0 && shown(document.querySelector("#transcripts .none")), "an empty search says nothing");
  set("text", "");
  for (const d of document.querySelectorAll("details")) d.open = true;
  expect(cards.every((c) => [...c.querySelectorAll("svg")].every(shown)), "a graph is not visible");
  let saved = null;
  HTMLAnchorElement.prototype.click = function () { saved = this.download; };
  document.querySelector("#by-op button.save").click();
  expect(saved === "by-op.csv", "the numbers cannot be saved");
  for (const e of document.querySelectorAll("a[href], summary, select, input, button, [tabindex]")) {
    e.focus();
    expect(document.activeElement === e, "the keyboard cannot reach " + e.outerHTML.slice(0, 60));
    expect(e.tabIndex === 0, "an odd place in the order of focus: " + e.outerHTML.slice(0, 60));
  }
  document.documentElement.dataset.found = found.length ? found.join("; ") : "nothing wrong";
});
