// What a reader sees of any page: nothing sticks out, and every text can be read (see browser.rs).
"use strict";
const named = (e) => e.tagName.toLowerCase() + "." + (e.getAttribute("class") || "") + " " + e.textContent.trim().slice(0, 40);

/// Elements that are wider than the window or than what holds them. Boxes that scroll on their own are left out, except in
/// a wide window, where nothing may hide behind a scrollbar.
function overflowing() {
  const out = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width + 1) out.push("the page is wider than the window");
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest("svg, pre, .visually-hidden, .skip, .tip, [hidden]") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    if (style.clipPath !== "none" || (e.closest("thead") && getComputedStyle(e.closest("thead")).clipPath !== "none")) continue;
    const scrolls = ["auto", "scroll"].includes(style.overflowX);
    const wide = e.scrollWidth > e.clientWidth + 1 && style.display !== "inline" && e.clientWidth > 0;
    if (wide && !(scrolls && width < 1300)) out.push("its content sticks out of " + named(e));
    const inside = e.parentElement.closest(".scroll, .graph");
    if (!inside && e.getBoundingClientRect().right > width + 1) out.push("out of the window: " + named(e));
  }
  return out;
}

/// Texts whose contrast is below 4.5:1 against what is behind them.
function faint() {
  const numbers = (text) => {
    const parts = (text.match(/[\d.]+/g) || []).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return parts.length < 3 ? [0, 0, 0, 0] : [...parts.slice(0, 3).map((v) => v * scale), parts.length > 3 ? parts[3] : 1];
  };
  const over = (top, below, more = 1) => {
    const a = top[3] * more;
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a)).concat(1);
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    const chain = [];
    for (let at = e; at; at = at.parentElement) chain.push(at);
    let colour = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    for (const at of chain.reverse()) {
      colour = over(numbers(getComputedStyle(at).backgroundColor), colour);
      // In a drawing, a text stands on the box beside it.
      const box = at.tagName === "g" && at.querySelector(":scope > rect");
      if (box) {
        const style = getComputedStyle(box);
        colour = over(numbers(style.fill), colour, Number(style.fillOpacity) * Number(style.opacity));
      }
    }
    return colour;
  };
  const out = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.getClientRects().length || e.closest("title, script, style, .visually-hidden, .skip, option")) continue;
    const style = getComputedStyle(e);
    const below = ground(e);
    let opacity = 1;
    for (let at = e; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const colour = over(numbers(e.closest("svg") ? style.fill : style.color), below, opacity);
    const [a, b] = [light(colour), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) out.set(named(e).split(" ")[0] + colour + below, `${ratio.toFixed(2)}:1 is too faint: ${named(e)}`);
  }
  return [...out.values()];
}
