/* Light or dark: as the system has it, or as was chosen here before. In the head, so that nothing flashes. */
"use strict";

vosBatch.theme = (() => {
  const KEY = "vos-batch-theme";
  const CHOICES = ["auto", "light", "dark"];
  const listeners = new Set();

  function stored() {
    try {
      const choice = localStorage.getItem(KEY);
      return CHOICES.includes(choice) ? choice : "auto";
    } catch {
      return "auto"; // a browser that keeps nothing for files
    }
  }

  function apply(choice) {
    if (choice === "auto") {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = choice;
    }
    listeners.forEach((listener) => listener());
  }

  function choose(choice) {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // The choice holds for this page then.
    }
    apply(choice);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => listeners.forEach((listener) => listener()));
  apply(stored());

  /** Calls back when colours change; returns what ends it. */
  function onChange(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** The colour that a custom property has now, as `rgb(...)`: canvases know no custom properties. */
  function colour(property) {
    const probe = document.createElement("span");
    probe.style.color = `var(${property})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  return { CHOICES, stored, choose, onChange, colour };
})();
