"use strict";

const filter = document.getElementById("filter");
const toggle = document.getElementById("toggle");
const found = document.getElementById("found");
const nothing = document.getElementById("nothing");
const routes = Array.from(document.querySelectorAll("details"));
const texts = new Map(routes.map((route) => [route, route.textContent.toLowerCase()]));

/** Show the routes that have every word of the filter in them, and the APIs that have such routes. */
function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const route of routes) {
    const isHit = words.every((word) => texts.get(route).includes(word));
    route.hidden = !isHit;
    count += isHit ? 1 : 0;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
    const link = document.querySelector(`nav a[href="#${section.getAttribute("aria-labelledby")}"]`);
    link.parentElement.hidden = section.hidden;
  }
  nothing.hidden = count > 0;
  found.textContent = words.length ? `${count} of ${routes.length}` : "";
}

/** Open or close all routes that are shown. */
function toggleAll() {
  const opens = toggle.getAttribute("aria-expanded") === "false";
  for (const route of routes) {
    route.open = opens && !route.hidden;
  }
  toggle.setAttribute("aria-expanded", String(opens));
  toggle.textContent = opens ? "Close all" : "Open all";
}

/** Open the route that the address names. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

/** Let the examples ask where this page comes from. */
function useOwnAddress() {
  for (const example of document.querySelectorAll(".curl")) {
    example.textContent = example.textContent.replace(/http:\/\/localhost:\d+/, location.origin);
  }
}

/** Go to the filter with a slash, and clear it with Escape. */
function onKey(event) {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    filter.focus();
  }
  if (event.key === "Escape" && event.target === filter) {
    filter.value = "";
    applyFilter();
  }
}

filter.addEventListener("input", applyFilter);
toggle.addEventListener("click", toggleAll);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", openNamed);
document.querySelector(".tools").hidden = false;
useOwnAddress();
openNamed();
