/* The page of one video. Its data are loaded when it is opened. */
"use strict";

vosBatch.Video = (() => {
  const { html, useState, useEffect, useMemo } = htmPreact;
  const { known } = vosBatch.format;

  const hashOf = (id, frame) => `#video=${encodeURIComponent(id)}${frame === undefined ? "" : `&frame=${frame}`}`;

  function nearest(shown, frame) {
    let best = 0;
    shown.forEach((one, at) => {
      if (Math.abs(one.frame - frame) < Math.abs(shown[best].frame - frame)) best = at;
    });
    return best;
  }

  /** Where to look first: the lowest expected J, else the highest uncertainty. */
  function worst(shown) {
    const badness = (one) => Math.max(...one.objects.map((object) =>
      known(object.expected_j) ? 2 - object.expected_j : known(object.uncertainty) ? object.uncertainty : -1), -1);
    return shown.reduce((best, one, at) => (badness(one) > badness(shown[best]) ? at : best), 0);
  }

  /** The videos before and after it, in the order of the table as it was left. */
  function Neighbours({ row, rows }) {
    const order = vosBatch.order || rows;
    const at = order.indexOf(row);
    const [before, after] = at < 0 ? [] : [order[at - 1], order[at + 1]];
    useEffect(() => {
      const key = (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const to = { "[": before, "]": after }[event.key];
        if (to) location.hash = hashOf(to.id);
        if (event.key === "Escape") location.hash = "";
      };
      addEventListener("keydown", key);
      return () => removeEventListener("keydown", key);
    });
    const Link = ({ to, name, sign }) => (to
      ? html`<a class="button" href=${hashOf(to.id)} aria-label=${`${name}: ${to.id}`} title=${to.id}>${sign}</a>`
      : html`<span class="button" aria-disabled="true">${sign}</span>`);
    return html`<nav class="neighbours noprint" aria-label="Other videos">
      ${at >= 0 && html`<span class="quiet">${vosBatch.format.count(at + 1)} of ${vosBatch.format.count(order.length)}</span>`}
      <${Link} to=${before} name="Video before" sign="[ before" /><${Link} to=${after} name="Next video" sign="next ]" />
    </nav>`;
  }

  function Looked({ video, frame }) {
    const { shown } = video;
    const [place, setPlace] = useState(() => ({ at: frame === null ? worst(shown) : nearest(shown, frame), asked: frame }));
    const [only, setOnly] = useState(null);
    const colours = useMemo(() => Object.fromEntries(video.objects.map((one) => [one.id, one.colour])), [video]);
    const go = (at, asked = null) => {
      const inside = Math.max(0, Math.min(shown.length - 1, at));
      history.replaceState(null, "", hashOf(video.id, asked === null ? shown[inside].frame : asked));
      setPlace({ at: inside, asked });
    };
    useEffect(() => {
      const key = (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
        const to = { ArrowLeft: place.at - 1, ArrowRight: place.at + 1, Home: 0, End: shown.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        go(to);
      };
      addEventListener("keydown", key);
      return () => removeEventListener("keydown", key);
    });
    const onPick = (picked) => go(nearest(shown, picked), picked);
    return html`
      ${video.without_pictures && html`<p class="note">${video.without_pictures}</p>`}
      ${video.without_heat && html`<p class="note">${video.without_heat}</p>`}
      <${vosBatch.Stage} video=${video} shown=${shown[place.at]} at=${place.at} asked=${place.asked} colours=${colours} only=${only}
        onOnly=${setOnly} onStep=${(step) => go(place.at + step)} />
      <${vosBatch.Filmstrip} video=${video} at=${place.at} colours=${colours} onChoose=${(at) => go(at)} />
      <${vosBatch.Curves} video=${video} chosen=${shown[place.at].frame} onPick=${onPick} />
      <p class="keys quiet noprint">
        <span><i class="key">←</i> <i class="key">→</i> frames</span><span><i class="key">m</i> masks</span>
        <span><i class="key">[</i> <i class="key">]</i> videos</span><span><i class="key">Esc</i> all videos</span></p>`;
  }

  return function Video({ rows, id, frame }) {
    const row = useMemo(() => rows.find((one) => one.id === id), [rows, id]);
    const [state, setState] = useState({});
    useEffect(() => {
      document.title = `${id} · vos-batch report`;
      scrollTo(0, 0);
      let left = false;
      if (row && row.frames !== null) {
        vosBatch.loadVideo(row.file).then(
          (video) => left || setState({ video }),
          (error) => left || setState({ error: error.message })
        );
      }
      return () => (left = true);
    }, [id]);
    const { video, error } = state;
    return html`<main class="video">
      <header class="title">
        <a class="quiet noprint" href="#" aria-label="All videos">←</a>
        <h1><bdi>${id}</bdi></h1>
        ${row && html`<${vosBatch.parts.Status} status=${row.status} />`}
        ${row && row.note && html`<span class="why"><bdi>${row.note}</bdi></span>`}
        ${row && html`<${Neighbours} row=${row} rows=${rows} />`}
      </header>
      ${video ? (video.shown.length ? html`<${Looked} video=${video} frame=${frame} />` : html`<p class="loading">This video has no frame in the tables.</p>`)
        : html`<p class="loading" role="status">${problem(row, error)}</p>`}
    </main>`;
  };

  function problem(row, error) {
    if (!row) return "This report has no video of that name.";
    if (error) return `${error}: make the report again.`;
    return row.frames === null ? "This video has no result. The next vos-batch segment tries it again." : "Loading";
  }
})();
