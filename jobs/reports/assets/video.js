/* The page of one video. Its data are loaded when it is opened. */
"use strict";

vosBatch.Video = (() => {
  const { html, useState, useEffect, useMemo } = htmPreact;
  const { known } = vosBatch.format;
  const { able, has, lastOf } = vosBatch.player;

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

  /** Where one is: a picture, or anywhere in the film, if there is one. */
  function placeOf({ shown, proxy }, frame) {
    const at = nearest(shown, frame);
    const film = shown[at].frame !== frame && has(proxy, frame);
    return { at, asked: frame, film: film ? { ...NOT_YET, frame } : null };
  }

  const NOT_YET = { objects: null, playing: false };
  const frameOf = (shown, { at, film }) => (film ? film.frame : shown[at].frame);

  /** A frame of the film, as those that have a picture are. */
  const filmed = (shown, { frame, objects }) => {
    const same = shown.find((one) => one.frame === frame);
    return { frame, objects, why: same ? same.why : [], picture: null, heat: null };
  };

  function Looked({ video, frame }) {
    const { shown, proxy } = video;
    const [place, setPlace] = useState(() => (frame === null ? { at: worst(shown), asked: null, film: null } : placeOf(video, frame)));
    const [problem, setProblem] = useState(null);
    const [only, setOnly] = useState(null);
    const colours = useMemo(() => Object.fromEntries(video.objects.map((one) => [one.id, one.colour])), [video]);
    const film = place.film;
    const now = film ? filmed(shown, film) : shown[place.at];
    const go = (to) => {
      history.replaceState(null, "", hashOf(video.id, to.asked));
      setPlace(to);
    };
    const goTo = (at) => {
      const inside = Math.max(0, Math.min(shown.length - 1, at));
      go({ at: inside, asked: shown[inside].frame, film: null });
    };
    const step = (by) => {
      const beside = by > 0 ? shown.findIndex((one) => one.frame > now.frame) : shown.findLastIndex((one) => one.frame < now.frame);
      if (beside >= 0) goTo(beside);
    };
    /** Go on with the film from here, or stop it; from its end it begins anew. */
    const play = () => {
      const again = now.frame >= lastOf(proxy) ? proxy.first : Math.max(proxy.first, now.frame);
      onFilm(film && film.playing ? { playing: false } : { frame: again, playing: true });
    };
    const filmedAt = (next) => ({ at: nearest(shown, next.frame), asked: next.frame, film: next });
    const onFilm = ({ problem: found, ...change }) => {
      if (found) setProblem(found);
      setPlace((old) => filmedAt({ ...(old.film || NOT_YET), ...change }));
    };
    /** To the frame beside the one that is seen, as it is now: keys are faster than pages. */
    const stepFilm = (by) => setPlace((old) => {
      const frame = frameOf(shown, old) + by;
      return has(proxy, frame) ? filmedAt({ ...NOT_YET, frame }) : old;
    });
    useEffect(() => {
      if (film && !film.playing) history.replaceState(null, "", hashOf(video.id, film.frame));
    }, [film]);
    useEffect(() => {
      const key = (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
        const does = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => goTo(0), End: () => goTo(shown.length - 1) };
        if (able(proxy)) {
          if (event.target.tagName !== "BUTTON") does[" "] = play;
          Object.assign(does, { ",": () => stepFilm(-1), ".": () => stepFilm(1) });
        }
        if (!does[event.key]) return;
        event.preventDefault();
        does[event.key]();
      };
      addEventListener("keydown", key);
      return () => removeEventListener("keydown", key);
    });
    const onPick = (picked) => go(placeOf(video, picked));
    return html`
      ${video.without_pictures && html`<p class="note">${video.without_pictures}</p>`}
      ${video.without_heat && html`<p class="note">${video.without_heat}</p>`}
      ${(problem || video.without_proxy) && html`<p class="note">${problem || video.without_proxy}</p>`}
      <${vosBatch.Stage} video=${video} shown=${now} asked=${place.asked} colours=${colours} only=${only} onOnly=${setOnly}
        onStep=${step} film=${film} onFilm=${onFilm} onPlay=${play} />
      <${vosBatch.Filmstrip} video=${video} at=${place.at} colours=${colours} onChoose=${goTo} />
      <${vosBatch.Curves} video=${video} chosen=${now.frame} onPick=${onPick} />
      <p class="keys quiet noprint">
        <span><i class="key">←</i> <i class="key">→</i> frames</span><span><i class="key">m</i> masks</span>
        ${able(proxy) && html`<span><i class="key">space</i> film</span><span><i class="key">,</i> <i class="key">.</i> its frames</span>`}
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
