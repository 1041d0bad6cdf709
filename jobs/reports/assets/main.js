/* Which page is shown: the part of the address after # says so. */
"use strict";

(() => {
  const { html, render, useState, useEffect } = htmPreact;
  const { Start, Video } = vosBatch;

  function wanted() {
    const match = location.hash.match(/^#video=([^&]*)(?:&frame=(\d+))?$/);
    if (!match) return { video: null };
    try {
      return { video: decodeURIComponent(match[1]), frame: match[2] === undefined ? null : Number(match[2]) };
    } catch {
      return { video: null }; // an address that somebody cut
    }
  }

  function Pages({ summary, rows }) {
    const [route, setRoute] = useState(wanted());
    useEffect(() => {
      const follow = () => setRoute(wanted());
      addEventListener("hashchange", follow);
      return () => removeEventListener("hashchange", follow);
    }, []);
    const video = route.video !== null;
    return html`<${vosBatch.parts.Bar} summary=${summary} here="videos" />
      ${video
        ? html`<${Video} key=${route.video} summary=${summary} rows=${rows} id=${route.video} frame=${route.frame} />`
        : html`<${Start} summary=${summary} rows=${rows} />`}`;
  }

  const page = document.getElementById("page");
  const summary = vosBatch.here("summary");
  page.replaceChildren();
  if (summary) {
    render(html`<${Pages} summary=${summary} rows=${vosBatch.rows.ofColumns(summary.videos)} />`, page);
  } else {
    render(html`<p class="loading">This report is not whole: data/summary.js is missing. Make it again.</p>`, page);
  }
})();
