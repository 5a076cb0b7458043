// Theme, language, filter and deep links. Everything is readable without it.
"use strict";
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search);
  const kept = {
    get(name) {
      try { return localStorage.getItem("saeprobe." + name); } catch { return null; } // file: pages may have no storage
    },
    set(name, value) {
      try { localStorage.setItem("saeprobe." + name, value); } catch { /* then it lasts as long as the page */ }
    },
  };
  const theme = asked.get("theme") || kept.get("theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme; // before the first paint

  document.addEventListener("DOMContentLoaded", () => {
    const words = JSON.parse(document.getElementById("_words").textContent);
    const one = (id) => document.getElementById(id);
    const all = (selector, within = document) => [...within.querySelectorAll(selector)];
    const say = (key, values = {}) =>
      words[key][root.dataset.lang].replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const showTheme = () => one("_theme").setAttribute("aria-pressed", String(dark()));
    one("_theme").addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      kept.set("theme", root.dataset.theme);
      showTheme();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

    const speak = (language) => {
      root.dataset.lang = language;
      root.lang = language === "zh" ? "zh-Hans" : "en";
      for (const element of all("[data-w]")) {
        element.textContent = say(element.dataset.w, element.dataset.v ? JSON.parse(element.dataset.v) : {});
      }
      for (const element of all("[data-a]")) {
        const [name, key] = element.dataset.a.split(":");
        element.setAttribute(name, say(key));
      }
      document.title = `${document.querySelector("h1").textContent.replace(/[.。]$/, "")} · saeprobe`;
    };
    one("_language").addEventListener("click", () => {
      const next = root.dataset.lang === "zh" ? "en" : "zh";
      kept.set("lang", next);
      speak(next);
      filter();
    });

    const claims = all(".claim");
    const haystack = new Map(claims.map((claim) => [claim, all("h3, .meta, .reason", claim).map((part) => part.textContent).join(" ").toLowerCase()]));
    const chips = all(".chip");
    const filter = () => {
      const verdicts = new Set(chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.word));
      const subject = one("_subject").value;
      const wanted = one("_text").value.trim().toLowerCase().split(/\s+/);
      let shown = 0;
      for (const claim of claims) {
        const said = wanted.every((word) => haystack.get(claim).includes(word));
        let some = false;
        for (const probe of all(".probe", claim)) {
          const fits = said && (!verdicts.size || verdicts.has(probe.dataset.verdict)) && (!subject || subject === probe.dataset.subject);
          probe.hidden = !fits;
          some ||= fits;
        }
        claim.hidden = !some;
        shown += some ? 1 : 0;
      }
      one("_shown").textContent = say("tool.shown", { n: shown, total: claims.length });
      one("_none").hidden = shown > 0 || claims.length === 0;
    };
    for (const chip of chips) {
      if (chip.dataset.none !== undefined) continue;
      chip.disabled = false;
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        filter();
      });
    }
    one("_text").addEventListener("input", filter);
    one("_subject").addEventListener("change", filter);
    const clear = () => {
      for (const chip of chips) chip.setAttribute("aria-pressed", "false");
      one("_text").value = "";
      one("_subject").value = "";
      filter();
    };

    const evidence = all(".all-evidence");
    const setAll = (open) => { for (const part of evidence) part.open = open; };
    one("_open").addEventListener("click", () => setAll(true));
    one("_close").addEventListener("click", () => setAll(false));
    const arrive = () => {
      let name = location.hash.slice(1);
      try { name = decodeURIComponent(name); } catch { /* a stray percent sign: take it as it is */ }
      const target = name && one(name);
      if (!target) return;
      if (target.closest("[hidden]")) clear();
      for (const part of all(".all-evidence", target)) part.open = true;
      for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
      target.scrollIntoView({ behavior: "instant" });
    };
    let closed = [];
    addEventListener("beforeprint", () => {
      closed = all("details:not([open])");
      for (const part of closed) part.open = true;
    });
    addEventListener("afterprint", () => { for (const part of closed) part.open = false; });

    one("_theme").parentElement.hidden = false;
    all(".tools")[0].hidden = false;
    showTheme();
    const language = asked.get("lang") || kept.get("lang");
    if (language === "en" || language === "zh") speak(language);
    if (claims.length > Number(document.body.dataset.mostOpen)) setAll(false);
    filter();
    arrive();
    addEventListener("hashchange", arrive);
  });
})();
