/* One frame with its masks, and what is known of each object in it. */
"use strict";

vosBatch.Stage = (() => {
  const { html, useCallback, useEffect, useLayoutEffect, useRef, useState } = htmPreact;
  const { Player, Controls, able } = vosBatch.player;
  const { count, fixed, percent, known } = vosBatch.format;
  const MOST_PIXELS = 1600; // of the canvas's longer side

  /** From sure to unsure, for one value an object: what U is within it is not stored. */
  const RAMP = ["#2bb3a3", "#8fc04a", "#e9b93a", "#ef7f35", "#e0403a"];
  const STEPS = [0.05, 0.1, 0.2, 0.35];
  const rampOf = (value) => (known(value) ? RAMP[STEPS.filter((step) => value >= step).length] : "#9aa3af");

  const LOOKS = { fill: { fill: 0.4, line: 2 }, outline: { fill: 0, line: 2 }, heat: null, none: null };

  /** The canvas over the picture, in the pixels of the screen. */
  function Masks({ shown, video, look, colourOf }) {
    const canvas = useRef(null);
    const [width, setWidth] = useState(0);
    useLayoutEffect(() => {
      const sizes = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
      sizes.observe(canvas.current);
      return () => sizes.disconnect();
    }, []);
    useEffect(() => {
      if (!width) return;
      const size = { width: video.facts.width, height: video.facts.height };
      const scale = Math.min(devicePixelRatio, MOST_PIXELS / width, MOST_PIXELS / ((width * size.height) / size.width));
      canvas.current.width = Math.round(width * scale);
      canvas.current.height = Math.max(1, Math.round((width * scale * size.height) / size.width));
      if (look) {
        const objects = shown.objects.map((one) => ({ rle: one.rle, colour: colourOf(one) }));
        vosBatch.masks.paint(canvas.current, objects, size, { fill: look.fill, line: Math.max(1, Math.round(look.line * scale)) });
      }
    }, [shown, look, colourOf, width]);
    return html`<canvas ref=${canvas} width="1" height="1"></canvas>`;
  }

  const Choice = ({ name, value, now, onChange, children }) => html`<button class="button" type="button" title=${name}
    aria-pressed=${String(now === value)} onClick=${() => onChange(value)}>${children}</button>`;

  function Objects({ shown, colours, only, onOnly, judged }) {
    if (shown.objects === null) return null;
    if (!shown.objects.length) return html`<p class="quiet">No object was prompted up to this frame.</p>`;
    return html`<table class="objects">
      <thead><tr><th scope="col">Object</th>${judged && html`<th scope="col" class="number">Expected J</th>`}
        <th scope="col" class="number">Uncertainty</th><th scope="col" class="number">Score</th><th scope="col" class="number">Area</th></tr></thead>
      <tbody>${shown.objects.map((one) => html`<tr class=${only !== null && only !== one.id ? "dim" : ""}>
        <th scope="row"><button type="button" aria-pressed=${String(only === one.id)} title="Show this object alone"
          onClick=${() => onOnly(only === one.id ? null : one.id)}>
          <i class="swatch" style=${{ background: colours[one.id] }}></i>${one.id}</button></th>
        ${judged && html`<td class="number">${fixed(one.expected_j, 2)}</td>`}
        <td class="number">${fixed(one.uncertainty, 3)}</td><td class="number">${fixed(one.score, 3)}</td>
        <td class="number">${one.area ? count(one.area) : html`<span class="gone">no pixel</span>`}</td>
      </tr>`)}</tbody>
    </table>`;
  }

  const view = { look: "fill", by: "object" }; // kept from video to video

  /** `film`: where the film is and whether it plays, null where a picture is looked at. */
  return function Stage({ video, shown, asked, colours, only, onOnly, onStep, film, onFilm, onPlay }) {
    const [, redraw] = useState(0);
    const change = (what) => {
      Object.assign(view, what);
      redraw((turn) => turn + 1);
    };
    // A video without heat maps, and a film, is looked at as if another look had been chosen.
    const heat = video.ramp && !film;
    const looked = () => (view.look === "heat" && !heat ? "fill" : view.look);
    useEffect(() => {
      const key = (event) => {
        if (event.key === "m" && !event.ctrlKey && !event.metaKey) {
          const names = Object.keys(LOOKS).filter((name) => name !== "heat" || heat);
          change({ look: names[(names.indexOf(looked()) + 1) % names.length] }); // as it is now: keys are faster than pages
        }
      };
      addEventListener("keydown", key);
      return () => removeEventListener("keydown", key);
    }, [video, heat]);
    const { facts, proxy } = video;
    const look = looked();
    const colourOf = view.by === "object" ? colourById(colours) : colourByUncertainty;
    const chosen = (objects) => (only === null ? objects : objects.filter((one) => one.id === only));
    const seen = only === null || film ? shown : { ...shown, objects: chosen(shown.objects) };
    const draw = useCallback((canvas, objects) => {
      const painted = LOOKS[look] ? chosen(objects).map((one) => ({ rle: one.rle, colour: colourOf(one) })) : [];
      vosBatch.masks.paint(canvas, painted, proxy, LOOKS[look] || LOOKS.fill);
    }, [proxy, look, only, colourOf]);
    const judged = video.objects.some((one) => one.expected_j.some(known));
    return html`<div class="stage">
      <figure class="card">
        <div class="mat"><div class="picture" style=${{ aspectRatio: `${facts.width} / ${facts.height}`, "--ratio": facts.width / facts.height }}>
          ${film
            ? html`<${Player} proxy=${proxy} frame=${film.frame} playing=${film.playing} draw=${draw} onEnd=${() => onFilm({ playing: false })}
                onFrame=${(frame, objects) => onFilm({ frame, objects })} onError=${(problem) => onFilm({ problem, playing: false })} />`
            : html`${shown.picture && html`<img src=${shown.picture} alt=${`Frame ${shown.frame}`} />`}
              ${look === "heat" && shown.heat && html`<img class="heat" src=${shown.heat} alt="Where the network is unsure" />`}
              <${Masks} shown=${seen} video=${video} look=${LOOKS[look]} colourOf=${colourOf} />
              ${!shown.picture && html`<p class="nothing">no picture</p>`}`}
        </div></div>
        <figcaption class="noprint">
          <span class="steps"><button class="button" type="button" aria-label="Frame before" disabled=${shown.frame <= video.shown[0].frame} onClick=${() => onStep(-1)}>←</button>
          <button class="button" type="button" aria-label="Next frame" disabled=${shown.frame >= video.shown[video.shown.length - 1].frame} onClick=${() => onStep(1)}>→</button></span>
          ${able(proxy) && html`<${Controls} proxy=${proxy} frame=${shown.frame} playing=${Boolean(film && film.playing)}
            onPlay=${onPlay} onSeek=${(frame) => onFilm({ frame, playing: false })} />`}
          <span class="group" role="group" aria-label="Masks"><${Choice} value="fill" now=${look} name="Masks filled (m)" onChange=${(look) => change({ look })}>Fill<//>
          <${Choice} value="outline" now=${look} name="Outlines (m)" onChange=${(look) => change({ look })}>Outline<//>
          ${heat && html`<${Choice} value="heat" now=${look} name="Where in the picture the network is unsure (m)" onChange=${(look) => change({ look })}>Heat map<//>`}
          <${Choice} value="none" now=${look} name="No masks (m)" onChange=${(look) => change({ look })}>Off<//></span>
          ${look !== "heat" && html`<span class="group" role="group" aria-label="Colours"><${Choice} value="object" now=${view.by} name="A colour an object" onChange=${(by) => change({ by })}>By object<//>
          <${Choice} value="uncertainty" now=${view.by} name="By each object's uncertainty in this frame" onChange=${(by) => change({ by })}>By uncertainty<//></span>`}
          ${look !== "heat" && view.by === "uncertainty" && html`<span class="ramp" aria-label="Uncertainty from 0 to 0.35 and more">0
            ${RAMP.map((colour) => html`<i style=${{ background: colour }}></i>`)} 0.35+</span>`}
          ${look === "heat" && (shown.heat
            ? html`<span class="ramp" title="U of each pixel: 1 where two objects are equally probable" aria-label="Uncertainty of pixels from 0 to 1">0
              <i class="smooth" style=${{ background: `linear-gradient(to right, ${video.ramp.join(", ")})` }}></i> 1</span>`
            : html`<span class="quiet">no heat map of this frame</span>`)}
        </figcaption>
      </figure>
      <aside>
        <h2>Frame ${count(shown.frame)} <span class="quiet">${shown.why.join(", ")}</span></h2>
        ${asked !== null && asked !== shown.frame && html`<p class="note" role="status">The nearest frame with a picture to ${count(asked)}.</p>`}
        <${Objects} shown=${shown} colours=${colours} only=${only} onOnly=${onOnly} judged=${judged} />
        <${vosBatch.Facts} facts=${facts} />
      </aside>
    </div>`;
  };

  function colourById(colours) {
    // The same function for the same colours, so that nothing is drawn twice.
    if (colourById.of !== colours) {
      colourById.of = colours;
      colourById.made = (one) => colours[one.id];
    }
    return colourById.made;
  }

  function colourByUncertainty(one) {
    return rampOf(one.uncertainty);
  }
})();
