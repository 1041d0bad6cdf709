/* All curves of a video over one time axis, under a lane of what happened. */
"use strict";

vosBatch.Curves = (() => {
  const { html, useMemo, useState } = htmPreact;
  const { count, fixed, known, percent, plural } = vosBatch.format;
  const { Plot } = vosBatch;
  const MOST_BUTTONS = 300;

  const KINDS = {
    prompt: { sign: "▲", text: "prompt", colour: "--accent" },
    cut: { sign: "┃", text: "cut", colour: "--ink-2" },
    damaged: { sign: "✕", text: "bad packet", colour: "--bad" },
    lost: { sign: "○", text: "lost", colour: "--bad" },
    found: { sign: "●", text: "found", colour: "--good" },
    jump: { sign: "◆", text: "area jumps", colour: "--warn" },
    fills: { sign: "■", text: "fills the picture", colour: "--warn" },
  };

  const textOf = ([frame, kind, object]) =>
    `frame ${frame}: ${object === null ? KINDS[kind].text : `object ${object} ${KINDS[kind].text}`}`;

  function Lane({ marks, span, onPick, left }) {
    const [first, last] = span;
    const within = marks.filter(([frame]) => frame >= first && frame <= last);
    const place = (frame) => `${(100 * (frame - first)) / Math.max(1, last - first)}%`;
    const kinds = Object.keys(KINDS).filter((kind) => marks.some((mark) => mark[1] === kind));
    if (!marks.length) return null;
    return html`<div class="lane">
      <p class="legend">${kinds.map((kind) => html`<span><i style=${{ color: `var(${KINDS[kind].colour})` }} aria-hidden="true">
        ${KINDS[kind].sign}</i> ${KINDS[kind].text}</span>`)}
        ${left > 0 && html`<span class="quiet">and ${plural(left, "mark")} more in the tables</span>`}</p>
      <div class="signs" role="group" aria-label="What happened" style=${{ marginLeft: `${Plot.AXIS}px`, marginRight: `${Plot.RIGHT}px` }}>
        ${within.slice(0, MOST_BUTTONS).map((mark) => html`<button type="button" style=${{ left: place(mark[0]), color: `var(${KINDS[mark[1]].colour})` }}
          title=${textOf(mark)} aria-label=${textOf(mark)} onClick=${() => onPick(mark[0])}>${KINDS[mark[1]].sign}</button>`)}
      </div>
    </div>`;
  }

  /** "highest 0.43 at frame 57", for those who cannot see the curve. */
  function extreme(word, choose, x, series, format) {
    let best = null;
    for (const one of series) {
      one.values.forEach((value, at) => {
        if (known(value) && (best === null || choose(value, best.value))) best = { value, frame: x[at] };
      });
    }
    return best === null ? "no value" : `${word} ${format(best.value)} at frame ${best.frame}`;
  }

  const more = (a, b) => a > b;
  const less = (a, b) => a < b;

  /** What is plotted of a video, from top to bottom. */
  function plots(video, theme) {
    const { objects, bank, facts } = video;
    const pixels = facts.width * facts.height;
    const of = (name, change = (value) => value) =>
      objects.map((one) => ({ name: String(one.id), colour: one.colour, values: one[name].map((v) => (v === null ? null : change(v))) }));
    const tint = vosBatch.theme.colour;
    const whole = (value) => count(value);
    const part = (value) => fixed(value, 3);
    const share = (value) => (known(value) ? `${value < 10 ? value.toFixed(2) : value.toFixed(1)} %` : "–");
    const unit = (u, low, high) => [0, Math.max(0.1, Math.min(1, (high || 0) * 1.05))];
    const zero = (u, low, high) => [0, Math.max(1e-9, (high || 0) * 1.08)];
    const tick = (value) => (value === 0 ? "0" : Number(value.toPrecision(3)).toString());
    const big = (value) => (value >= 1000 ? `${Number((value / 1000).toPrecision(3))}k` : tick(value));
    const found = [
      { name: "Uncertainty", help: "Mean over each object: 0 where it wins clearly, 1 where two are equal", series: of("uncertainty"),
        height: 120, range: unit, format: part, ticks: tick, word: "highest", choose: more },
      { name: "Expected J", help: "What a small model expects of each mask, without truth", series: of("expected_j"), height: 96,
        range: () => [0, 1], format: (value) => fixed(value, 2), ticks: tick, word: "lowest", choose: less },
      { name: "Area, % of the picture", series: of("area", (value) => (100 * value) / pixels), height: 96, range: zero,
        format: share, ticks: tick, word: "largest", choose: more },
      { name: "Features in the bank", help: "Stored features after the frame, over objects and background",
        series: [{ name: "stored", colour: tint("--accent"), values: bank.bank_size }], height: 80, range: zero, format: whole,
        ticks: big, word: "largest", choose: more },
      { name: "Features of a frame", named: true, help: "Merged into stored ones, appended to the bank, evicted from it",
        series: [{ name: "merged", colour: tint("--good"), values: bank.merged }, { name: "appended", colour: tint("--accent"), values: bank.appended },
          { name: "evicted", colour: tint("--bad"), values: bank.evicted }], height: 96, range: zero, format: whole, ticks: big,
        word: "most", choose: more },
    ];
    return found.filter((one) => one.series.some((series) => series.values.some(known)));
  }

  return function Curves({ video, chosen, onPick }) {
    const theme = vosBatch.parts.useTheme();
    const x = video.frame;
    const [span, setSpan] = useState([x[0], x[x.length - 1]]);
    const drawn = useMemo(() => plots(video, theme), [video, theme]);
    const lines = useMemo(
      () => video.marks.filter((mark) => mark[1] === "prompt" || mark[1] === "cut")
        .map(([frame, kind]) => ({ frame, colour: vosBatch.theme.colour(KINDS[kind].colour) })),
      [video, theme]
    );
    if (!x.length) return html`<p class="loading">This video has no frame in the tables.</p>`;
    return html`<section class="curves card" aria-label="Curves">
      <${Lane} marks=${video.marks} left=${video.marks_left_out} span=${span} onPick=${onPick} />
      ${drawn.map((one, at) => html`<${Plot} key=${one.name} ...${one} x=${x} last=${at === drawn.length - 1}
        height=${one.height + (at === drawn.length - 1 ? 22 : 0)} sync="video" theme=${theme} marks=${lines} chosen=${chosen} onPick=${onPick}
        onSpan=${at ? null : (first, last) => setSpan((old) => (old[0] === first && old[1] === last ? old : [first, last]))}
        summary=${`${one.name}, frames ${x[0]} to ${x[x.length - 1]}: ${extreme(one.word, one.choose, x, one.series, one.format)}`} />`)}
      <p class="hint quiet">${video.every > 1 && `A point is ${video.every} frames: the highest uncertainty, the lowest expected J and area, the most features. `}
        <span class="noprint">Drag to look closer, double-click for all. Click for the frame.</span></p>
    </section>`;
  };
})();
