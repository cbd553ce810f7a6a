"use strict";
// Keeps a page current without reloading it: asks for the page's changing part about once a second and changes only what differs, so that
// scroll position, selection, focus and opened details stay.
(() => {
  const INTERVAL_MS = 1000;
  const RETRY_MS = 5000;
  const live = document.getElementById("live");
  const unreachable = document.getElementById("unreachable");
  let etag = "";
  let failures = 0;

  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset?.key || node.id || "" : "");

  function morphAttributes(from, to) {
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      // Whether details are open is the reader's decision, not the server's.
      if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
    }
  }

  function morph(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    if (from.contains(document.activeElement) && from.matches("input, select, textarea")) return;
    morphAttributes(from, to);
    morphChildren(from, to);
  }

  function morphChildren(from, to) {
    const keyed = new Map();
    for (const child of from.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = keyOf(wanted);
      let match = null;
      if (key) match = keyed.get(key);
      else if (at && !keyOf(at) && at.nodeName === wanted.nodeName) match = at;
      if (match && match.nodeName === wanted.nodeName) {
        if (match === at) at = at.nextSibling;
        else from.insertBefore(match, at);
        morph(match, wanted);
      } else {
        from.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  async function refresh() {
    const headers = { "X-Quiver-Fragment": "1" };
    if (etag) headers["If-None-Match"] = etag;
    const response = await fetch(location.pathname + location.search, { headers, credentials: "same-origin", cache: "no-store" });
    if (response.status === 200) {
      const text = await response.text();
      const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("live");
      if (!fresh) throw new Error("not a page of this UI");
      morph(live, fresh);
      etag = response.headers.get("ETag") || "";
    } else if (response.status !== 304) {
      throw new Error(`status ${response.status}`);
    }
    return response.headers.get("X-Quiver-Live") === "1";
  }

  async function keepFresh() {
    let goOn = true;
    if (!document.hidden) {
      try {
        goOn = await refresh();
        failures = 0;
      } catch {
        failures += 1;
      }
      unreachable.hidden = failures < 3;
    }
    if (goOn) setTimeout(keepFresh, failures >= 3 ? RETRY_MS : INTERVAL_MS);
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  const dag = document.querySelector(".dag");
  const active = dag && dag.querySelector(".box.active, .box.failed");
  if (active) {
    const of = active.getBoundingClientRect();
    const within = dag.getBoundingClientRect();
    if (of.right > within.right) dag.scrollLeft = of.left - within.left - (within.width - of.width) / 2;
  }

  if (live.dataset.live === "1") setTimeout(keepFresh, INTERVAL_MS);
})();
