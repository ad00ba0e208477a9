// Follows the server's stamp and swaps the sections of the page that changed. Without this script the page is complete.
(function () {
  "use strict";
  var PAUSE = 300, RETRY = 5000, NEWS = 5000;
  var body = document.body, state = document.getElementById("live-state"), news = document.getElementById("live-news");
  var shown = Number(body.dataset.stamp), wanted = shown, busy = false, source = null, toldAt = 0;

  function say(text, kind) {
    state.textContent = text;
    state.className = "live " + kind;
  }

  function keepOpen(old, fresh) {
    old.querySelectorAll("details[open]").forEach(function (open) {
      var same = open.id && fresh.querySelector("#" + CSS.escape(open.id));
      if (same) same.open = true;
    });
  }

  function same(a, b) {
    var plain = a.cloneNode(true);
    plain.classList.remove("fresh");
    if (!plain.className) plain.removeAttribute("class");
    plain.querySelectorAll("details[open]").forEach(function (one) { one.removeAttribute("open"); });
    return plain.outerHTML === b.outerHTML;
  }

  function swap(text, aim) {
    var page = new DOMParser().parseFromString(text, "text/html");
    var main = document.getElementById("content"), next = page.getElementById("content");
    if (!next) return;
    var active = document.activeElement, focus = active && main.contains(active) ? active : null;
    var summaryOf = focus && focus.tagName === "SUMMARY" ? focus.parentElement.id : null;
    var id = focus ? focus.id : null;
    var ids = function (root) {
      return Array.from(root.querySelectorAll("[data-live]"), function (one) { return one.id; }).join(" ");
    };
    if (ids(main) !== ids(next)) {
      keepOpen(main, next);
      main.innerHTML = next.innerHTML;
    } else {
      next.querySelectorAll("[data-live]").forEach(function (fresh) {
        var old = document.getElementById(fresh.id);
        if (same(old, fresh)) return;
        keepOpen(old, fresh);
        var scrolled = Array.from(old.querySelectorAll(".gaps, .scroll"), function (one) { return one.scrollTop; });
        fresh.classList.add("fresh");
        old.replaceWith(fresh);
        fresh.querySelectorAll(".gaps, .scroll").forEach(function (one, place) { one.scrollTop = scrolled[place] || 0; });
      });
    }
    if (focus && !document.contains(focus)) {
      var again = summaryOf ? document.querySelector("#" + CSS.escape(summaryOf) + " > summary") : id && document.getElementById(id);
      (again || main).focus({ preventScroll: true });
    }
    document.title = page.title;
    // A page answered as "not modified" carries the stamp it was rendered at.
    shown = Math.max(aim, Number(page.body.dataset.stamp));
    body.dataset.stamp = shown;
    announce();
  }

  function announce() {
    var now = Date.now(), line = document.querySelector("#changes li");
    if (now - toldAt < NEWS) return;
    toldAt = now;
    var words = line ? Array.from(line.querySelectorAll(".who, .what"), function (part) { return part.innerText.trim(); }) : [];
    news.textContent = "页面已更新。" + words.join("：").replace(/\s+/g, " ");
  }

  function refresh() {
    if (busy || document.hidden || wanted === shown) return;
    busy = true;
    var aim = wanted;
    fetch(location.pathname, { headers: { Accept: "text/html" }, credentials: "same-origin" })
      .then(function (answer) {
        if (!answer.ok && [404, 503].indexOf(answer.status) < 0) throw new Error(String(answer.status));
        return answer.text();
      })
      .then(function (text) {
        swap(text, aim);
        setTimeout(function () { busy = false; refresh(); }, PAUSE);
      })
      .catch(function () { setTimeout(function () { busy = false; refresh(); }, RETRY); });
  }

  function follow() {
    source = new EventSource(body.dataset.stream);
    source.addEventListener("open", function () { say("实时更新", "on"); });
    source.addEventListener("stamp", function (event) {
      wanted = Number(event.data);
      refresh();
    });
    source.addEventListener("error", function () {
      say("连接中断，正在重连", "off");
      // A refused stream is closed for good by the browser: ask again, and look by oneself meanwhile.
      if (source.readyState === EventSource.CLOSED) {
        wanted = shown + 1;
        refresh();
        setTimeout(follow, RETRY);
      }
    });
  }

  document.addEventListener("visibilitychange", refresh);
  if (window.EventSource) follow();
})();
