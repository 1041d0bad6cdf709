/* The videos as a table: of however many rows only those in view are in the page. */
"use strict";

vosBatch.Table = (() => {
  const { html, useState, useEffect, useLayoutEffect, useRef } = htmPreact;
  const { count, fixed, percent, rough } = vosBatch.format;
  const HEIGHT = 32; // pixels of a row, as in start.css
  const SPARE = 12; // rows above and below those in view
  const PRINTED = 1000;
  const LEVELS = 35;

  const COLUMNS = [
    { by: "id", name: "Video", kind: "id" },
    { by: "status", name: "Status", kind: "state" },
    { by: "expected_j", name: "Expected J", kind: "number mean", judged: true,
      help: "Mean over the video's masks: what a small model expects of them, without truth" },
    { by: "worst_j", name: "Worst", kind: "number worst", judged: true, help: "The lowest expected J of a mask" },
    { by: "bad_share", name: "Below 0.5", kind: "number wide", judged: true, help: "Share of masks with an expected J below 0.5" },
    { by: "peak", name: "Over time", kind: "trace", down: true,
      help: "From the first frame to the last how far the worst mask's expected J is from 1, or, where none is known, the highest uncertainty, up to 0.5. Sorts by the highest uncertainty" },
    { by: "uncertainty", name: "Uncertainty", kind: "number wide", down: true, help: "Mean over the video's masks" },
    { by: "lost", name: "Lost", kind: "number wide short", down: true, help: "How often an object had no pixel after a frame with some" },
    { by: "cuts", name: "Cuts", kind: "number wide short", down: true },
    { by: "objects", name: "Objects", kind: "number wide short", down: true },
    { by: "frames", name: "Frames", kind: "number middle", down: true },
    { by: "pixels", name: "Size", kind: "number wide size", down: true },
    { by: "frames_per_s", name: "Frames/s", kind: "number wide" },
  ];

  const level = (character) => (character === "." ? null : parseInt(character, 36));

  /** The trace as bars. */
  function Trace({ trace }) {
    const bars = [...trace].map(level).map((high, at) =>
      high ? `M${2 * at + 1} 16V${(16 - Math.max(1, (16 * high) / LEVELS)).toFixed(1)}` : "");
    return html`<svg class="trace" width="96" height="16" viewBox=${`0 0 ${2 * (trace.length || 1)} 16`}
      preserveAspectRatio="none" aria-hidden="true"><path d=${bars.join("")} /></svg>`;
  }

  /** A value from 0 to 1 with a bar as long under it. */
  const Level = ({ value, tone }) => (value === null ? fixed(value, 2)
    : html`<span class="level ${tone}" style=${{ "--part": value }}>${fixed(value, 2)}</span>`);

  const toneOfJ = (value) => (value === null ? "" : value < 0.5 ? "bad" : value < 0.7 ? "warn" : "");

  const CELLS = {
    id: (row) => html`<a href=${`#video=${encodeURIComponent(row.id)}`} title=${row.id}><bdi>${row.id}</bdi></a>
      ${row.note && html`<small class="clip" title=${row.note}><bdi>${row.note}</bdi></small>`}`,
    status: (row) => html`<${vosBatch.parts.Status} status=${row.status} />`,
    expected_j: (row) => html`<${Level} value=${row.expected_j} tone=${toneOfJ(row.expected_j)} />`,
    worst_j: (row) => html`<${Level} value=${row.worst_j} tone=${toneOfJ(row.worst_j)} />`,
    bad_share: (row) => percent(row.bad, row.judged),
    uncertainty: (row) => fixed(row.uncertainty, 3),
    peak: (row) => row.trace && html`<${Trace} trace=${row.trace} />`,
    lost: (row) => (row.lost ? count(row.lost) : html`<span class="zero">${count(row.lost)}</span>`),
    cuts: (row) => (row.cuts ? count(row.cuts) : html`<span class="zero">${count(row.cuts)}</span>`),
    objects: (row) => count(row.objects),
    frames: (row) => count(row.frames),
    pixels: (row) => (row.width === null ? "–" : `${row.width} × ${row.height}`),
    frames_per_s: (row) => rough(row.frames_per_s),
  };

  /** The rows in view: [first, end). */
  function useWindow(body, length) {
    const [span, setSpan] = useState([0, 60]);
    useLayoutEffect(() => {
      const look = () => {
        const top = body.current.getBoundingClientRect().top;
        const first = Math.max(0, Math.floor(-top / HEIGHT) - SPARE);
        const end = first + Math.ceil(innerHeight / HEIGHT) + 2 * SPARE;
        setSpan((old) => (old[0] === first && old[1] === end ? old : [first, end]));
      };
      const printing = () => setSpan([0, PRINTED]);
      look();
      addEventListener("scroll", look, { passive: true });
      addEventListener("resize", look);
      addEventListener("beforeprint", printing);
      addEventListener("afterprint", look);
      return () => {
        removeEventListener("scroll", look);
        removeEventListener("resize", look);
        removeEventListener("beforeprint", printing);
        removeEventListener("afterprint", look);
      };
    }, [length]);
    const first = Math.min(span[0], Math.max(0, length - 1));
    return [first, Math.min(length, Math.max(span[1], first))];
  }

  function Head({ columns, sort, onSort }) {
    const choose = (column) => onSort({ by: column.by, down: sort.by === column.by ? !sort.down : Boolean(column.down) });
    const sorted = (column) => (sort.by !== column.by ? null : sort.down ? "descending" : "ascending");
    return html`<thead><tr aria-rowindex="1">${columns.map((column) => html`
      <th scope="col" class=${column.kind} aria-sort=${sorted(column)} title=${column.help}>
        <button type="button" onClick=${() => choose(column)}>${column.name}<i aria-hidden="true">${
          sort.by === column.by ? (sort.down ? "↓" : "↑") : ""}</i></button>
      </th>`)}</tr></thead>`;
  }

  /** Up and down go from row to row; rows that were out of view come in when the page scrolls to them. */
  function walk(event, body) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("tr[aria-rowindex]");
    if (!step || !row || event.target.tagName !== "A") return;
    event.preventDefault();
    const next = body.current.querySelector(`tr[aria-rowindex="${Number(row.getAttribute("aria-rowindex")) + step}"] a`);
    next?.focus({ preventScroll: true });
    next?.closest("tr").scrollIntoView({ block: "nearest" });
  }

  /** Rows out of view. One cell: further columns, some of which narrow windows hide, would take room. */
  const Space = ({ rows }) => rows > 0 && html`<tr aria-hidden="true" class="space"><td style=${{ height: `${rows * HEIGHT}px` }}></td></tr>`;

  return function Table({ rows, total, sort, judged, onSort }) {
    const body = useRef(null);
    const [first, end] = useWindow(body, rows.length);
    const columns = COLUMNS.filter((column) => judged || !column.judged);
    return html`<div class="card videos">
      <table aria-rowcount=${rows.length + 1} aria-label="Videos">
        <${Head} columns=${columns} sort=${sort} onSort=${onSort} />
        <tbody ref=${body} onKeyDown=${(event) => walk(event, body)}>
          <${Space} rows=${first} />
          ${rows.slice(first, end).map((row, at) => html`<tr key=${row.id} aria-rowindex=${first + at + 2}>
            ${columns.map((column) => (column.by === "id"
              ? html`<th scope="row" class="id">${CELLS.id(row)}</th>`
              : html`<td class=${column.kind}>${CELLS[column.by](row)}</td>`))}
          </tr>`)}
          <${Space} rows=${rows.length - end} />
        </tbody>
      </table>
      ${!rows.length && html`<p class="loading">${total ? "No video is like that." : "This output holds no video yet: vos-batch segment writes them."}</p>`}
    </div>`;
  };
})();
