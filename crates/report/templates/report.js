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
  const form = document.getElementById("filters");
  if (!form) return;
  const cards = [...document.querySelectorAll(".transcript")];
  const none = document.querySelector("#transcripts .none");
  const count = form.querySelector(".count");
  const texts = cards.map((card) => card.textContent.toLowerCase());
  const update = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    cards.forEach((card, i) => {
      const d = card.dataset;
      const fits =
        ["stage", "change", "op", "context"].every((key) => !wanted[key] || d[key] === wanted[key]) &&
        (!wanted.fault || d.faults.split(" ").includes(wanted.fault)) &&
        words.every((word) => texts[i].includes(word));
      card.hidden = !fits;
      shown += fits;
    });
    none.hidden = shown > 0;
    count.textContent = `${shown} of ${cards.length} transcripts`;
  };
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
})();
