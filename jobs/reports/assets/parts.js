/* Small parts that all pages have. Whatever comes from data is set as text. */
"use strict";

vosBatch.parts = (() => {
  const { html, useState, useEffect, useReducer } = htmPreact;

  const STATUSES = {
    complete: "complete",
    truncated: "truncated",
    damaged: "damaged",
    needs_prompt: "needs a prompt",
    failed: "failed",
  };

  const Status = ({ status }) => html`<span class="status ${status}"><span>${STATUSES[status] || status}</span></span>`;

  const NAMES = { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

  function ThemeButton() {
    const [choice, setChoice] = useState(vosBatch.theme.stored());
    const next = () => {
      const { CHOICES, choose } = vosBatch.theme;
      const chosen = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
      choose(chosen);
      setChoice(chosen);
    };
    return html`<button class="button plain end" type="button" onClick=${next} aria-label=${NAMES[choice]}
      title=${NAMES[choice]}>
      <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
        <circle cx="7" cy="7" r="5.5" fill="none" stroke="currentColor" />
        ${choice !== "light" && html`<path d=${choice === "dark" ? "M7 1.5a5.5 5.5 0 0 1 0 11a5.5 5.5 0 0 1 0-11z" : "M7 1.5a5.5 5.5 0 0 1 0 11z"} fill="currentColor" />`}
      </svg>
      ${choice}
    </button>`;
  }

  /** The bar on top; `here` is "videos" or "review". */
  function Bar({ summary, here }) {
    const current = (name) => (name === here ? "page" : null);
    return html`<header class="bar">
      <a class="name" href="index.html#">vos-batch</a>
      <nav aria-label="Pages">
        <a href="index.html#" aria-current=${current("videos")}>Videos</a>
        ${summary.review !== null && html`<a href="review.html" aria-current=${current("review")}>Review${" "}
          <span class="quiet">${" "}${vosBatch.format.count(summary.review)}</span></a>`}
      </nav>
      <span class="where" title=${summary.output}><bdi>${summary.output}</bdi></span>
      <${ThemeButton} />
    </header>`;
  }

  /** Draw again when colours change. */
  function useTheme() {
    const [turn, again] = useReducer((number) => number + 1, 0);
    useEffect(() => vosBatch.theme.onChange(again), []);
    return turn;
  }

  return { Status, STATUSES, Bar, useTheme };
})();
