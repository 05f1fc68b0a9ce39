"use strict";
(() => {
  for (const button of document.querySelectorAll("button.save")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const text = button.closest("details").querySelector("pre").textContent;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = button.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
  // Numbers of a point: for a pointer that hovers and for a finger that touches.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  const says = (point) => {
    const title = point.querySelector("title");
    if (title) {
      point.dataset.says = title.textContent;
      title.remove();
    }
    return point.dataset.says || "";
  };
  const point = (event) => event.target instanceof Element && event.target.closest(".tc-point, .tg-node");
  const show = (event) => {
    const at = point(event);
    tip.hidden = !at;
    if (!at) return;
    tip.textContent = says(at);
    const box = at.getBoundingClientRect();
    const wide = document.documentElement.clientWidth;
    const x = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), wide - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${x + scrollX}px`;
    tip.style.top = `${(above > 4 ? above : box.bottom + 8) + scrollY}px`;
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const form = document.getElementById("filters");
  if (!form) return;
  const cards = [...document.querySelectorAll(".transcript")];
  const none = document.querySelector("#transcripts .none");
  const count = form.querySelector(".count");
  const texts = cards.map((card) => card.textContent.toLowerCase());
  const more = document.querySelector("#transcripts .more");
  const page = 10;
  let room = page;
  const update = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    cards.forEach((card, i) => {
      const d = card.dataset;
      const fits =
        ["stage", "change", "op", "context", "mode"].every((key) => !wanted[key] || d[key] === wanted[key]) &&
        (!wanted.fault || d.faults.split(" ").includes(wanted.fault)) &&
        words.every((word) => texts[i].includes(word));
      shown += fits;
      card.hidden = !fits || shown > room;
    });
    none.hidden = shown > 0;
    const here = Math.min(shown, room);
    count.textContent = `${here} of ${shown} transcripts` + (shown < cards.length ? ` that fit, of ${cards.length}` : "");
    more.hidden = shown <= room;
    more.textContent = `Show ${Math.min(page, shown - here)} more`;
  };
  form.hidden = false;
  form.addEventListener("input", () => {
    room = page;
    update();
  });
  more.addEventListener("click", () => {
    room += page;
    update();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
})();
