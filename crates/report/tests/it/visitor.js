// Uses the report as a reader would and leaves what it found in the document (see browser.rs).
"use strict";
window.addEventListener("load", () => {
  const found = [];
  const expect = (fact, what) => { if (!fact) found.push(what); };
  const shown = (e) => { const r = e.getBoundingClientRect(); return r.width > 20 && r.height > 10; };
  const figures = [...document.querySelectorAll("figure")];
  expect(figures.length > 8, "few figures");
  for (const f of figures) {
    expect([...f.querySelectorAll(".panel svg")].every(shown), "a panel of " + f.id + " is not visible");
    expect(f.querySelectorAll(".keys").length <= 1, f.id + " has several legends");
  }
  for (const s of document.querySelectorAll("svg.tc[role=img]")) expect(s.getAttribute("aria-label"), "a drawing without a description");
  const form = document.getElementById("filters");
  const cards = [...document.querySelectorAll(".transcript")];
  const visible = () => cards.filter((c) => shown(c));
  expect(cards.length >= 10 && visible().length === Math.min(10, cards.length), "transcripts are missing: " + visible().length);
  expect(cards[0].open && cards[0].dataset.change === "fixed", "the most telling transcript is not open");
  const set = (name, value) => { form.elements[name].value = value; form.dispatchEvent(new Event("input", { bubbles: true })); };
  set("change", "fixed");
  expect(visible().length > 0 && visible().every((c) => c.dataset.change === "fixed"), "the filter by change does not work");
  set("change", "");
  set("mode", "reverse");
  expect(visible().length > 0 && visible().every((c) => c.dataset.mode === "reverse"), "the filter by mode does not work");
  set("mode", "");
  const fault = [...form.elements.fault.options].map((o) => o.value).filter(Boolean)[0];
  set("fault", fault);
  expect(visible().length > 0 && visible().every((c) => c.dataset.faults.split(" ").includes(fault)), "the filter by fault does not work");
  set("fault", "");
  set("text", "no such words anywhere");
  expect(visible().length === 0 && shown(document.querySelector("#transcripts .none")), "an empty search says nothing");
  set("text", "");
  const more = document.querySelector("#transcripts .more");
  for (let i = 0; i < 50 && !more.hidden; i++) more.click();
  expect(visible().length === cards.length, "not all transcripts can be reached");
  const point = document.querySelector("figure .tc-point");
  const says = point.querySelector("title").textContent;
  point.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, pointerType: "touch" }));
  const tip = document.querySelector(".tip");
  expect(shown(tip) && tip.textContent === says && says.length > 5, "touch does not show the numbers");
  document.body.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, pointerType: "touch" }));
  expect(tip.hidden, "the numbers do not go away");
  for (const d of document.querySelectorAll("details")) d.open = true;
  expect(cards.every((c) => [...c.querySelectorAll("svg")].every(shown)), "a graph is not visible");
  for (const problem of [...overflowing(), ...faint()].slice(0, 12)) found.push(problem);
  let saved = null;
  HTMLAnchorElement.prototype.click = function () { saved = this.download; };
  document.querySelector("#by-op button.save").click();
  expect(saved === "by-op.csv", "the numbers cannot be saved");
  for (const e of document.querySelectorAll("a[href], summary, select, input, button:not([hidden]), [tabindex]")) {
    e.focus();
    expect(document.activeElement === e, "the keyboard cannot reach " + e.outerHTML.slice(0, 60));
    expect(e.tabIndex === 0, "an odd place in the order of focus: " + e.outerHTML.slice(0, 60));
  }
  document.documentElement.dataset.found = found.length ? found.join("; ") : "nothing wrong";
});
