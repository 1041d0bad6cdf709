/* The first page: how the runs went, and the videos. */
"use strict";

vosBatch.Start = (() => {
  const { html, useState, useEffect, useMemo, useRef, useLayoutEffect } = htmPreact;
  const { count, plural, time } = vosBatch.format;

  /** Kept while a video is looked at, so that the way back leads to the same place. */
  const state = { text: "", status: null, worst: "", sort: null, scroll: 0 };

  const firstSort = (judged) => (judged ? { by: "expected_j", down: false } : { by: "uncertainty", down: true });

  function Filters({ summary, rows, shown, filter, change }) {
    const input = useRef(null);
    useEffect(() => {
      const focus = (event) => {
        if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT)$/.test(event.target.tagName)) {
          event.preventDefault();
          input.current.focus();
        }
      };
      addEventListener("keydown", focus);
      return () => removeEventListener("keydown", focus);
    }, []);
    const { statuses } = summary.health;
    const kinds = Object.keys(vosBatch.parts.STATUSES).filter((status) => statuses[status]);
    const toggle = (status) => change({ status: filter.status === status ? null : status });
    return html`<div class="filters noprint" role="search" aria-label="Videos">
      <input ref=${input} class="field find" type="search" placeholder="Find a video   /" aria-label="Find a video by its id"
        value=${filter.text} onInput=${(event) => change({ text: event.target.value })} />
      ${kinds.length > 1 && html`<div class="choices" role="group" aria-label="Status">${kinds.map((status) => html`
        <button class="button" type="button" aria-pressed=${String(filter.status === status)} onClick=${() => toggle(status)}>
          <${vosBatch.parts.Status} status=${status} /> <span class="quiet">${count(statuses[status])}</span>
        </button>`)}</div>`}
      <select class="field" aria-label="How bad its worst frame is" value=${filter.worst}
        onChange=${(event) => change({ worst: event.target.value })}>
        <option value="">Any worst frame</option>
        ${summary.health.judged > 0 && html`
          <option value="worst_j<0.7">Expected J below 0.7</option>
          <option value="worst_j<0.5">Expected J below 0.5</option>
          <option value="worst_j<0.3">Expected J below 0.3</option>`}
        <option value="peak>0.2">Uncertainty above 0.2</option>
        <option value="peak>0.4">Uncertainty above 0.4</option>
        <option value="lost>0">Lost an object</option>
        <option value="cuts>0">Has a cut</option>
      </select>
      <span class="quiet shown" role="status">${shown === rows.length ? plural(rows.length, "video")
        : `${count(shown)} of ${plural(rows.length, "video")}`}</span>
    </div>`;
  }

  return function Start({ summary, rows }) {
    const judged = summary.health.judged > 0;
    state.sort = state.sort || firstSort(judged);
    const [, redraw] = useState(0);
    const change = (what) => {
      Object.assign(state, what);
      redraw((turn) => turn + 1);
    };
    const { text, status, worst, sort } = state;
    const found = useMemo(
      () => vosBatch.rows.sorted(vosBatch.rows.chosen(rows, { text, status, worst }), sort),
      [rows, text, status, worst, sort]
    );
    vosBatch.order = found; // what "next video" means on the page of a video
    useLayoutEffect(() => {
      document.title = "Videos · vos-batch report";
      scrollTo(0, state.scroll);
      return () => (state.scroll = scrollY);
    }, []);
    return html`<main class="start">
      <h1 class="unseen">Videos</h1>
      <${vosBatch.Health} summary=${summary} total=${rows.length} onFailed=${() => change({ status: "failed" })} />
      <${Filters} summary=${summary} rows=${rows} shown=${found.length} filter=${state} change=${change} />
      <${vosBatch.Table} rows=${found} total=${rows.length} sort=${sort} judged=${judged} onSort=${(by) => change({ sort: by })} />
      <p class="foot quiet">Made ${time(summary.made_at)} by vos-batch ${summary.code_version}${summary.health.last_commit
        && html`, last result of ${time(summary.health.last_commit)}`}.</p>
    </main>`;
  };
})();
