/* One curve plot: uPlot in the page's colours, with a line at the chosen frame and at marks. */
"use strict";

vosBatch.Plot = (() => {
  const { html, useEffect, useLayoutEffect, useRef } = htmPreact;
  const AXIS = 46; // pixels left of the plots; the lane of marks leaves as many
  const RIGHT = 12;
  const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';
  const CLICK = 4; // pixels that a click may wander

  /** Lines under the curves: marks faint, the chosen frame strong. */
  function lines(plot, marks, chosen, colours) {
    const { ctx, bbox } = plot;
    const draw = (frame, colour, width, dash) => {
      const x = Math.round(plot.valToPos(frame, "x", true)) + 0.5;
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.strokeStyle = colour;
      ctx.lineWidth = width * devicePixelRatio;
      ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    };
    ctx.save();
    for (const mark of marks) draw(mark.frame, mark.colour, 1, [2, 3]);
    if (chosen !== null) draw(chosen, colours.accent, 1.5, []);
    ctx.restore();
  }

  function options({ width, height, last, series, range, ticks, sync, colours, hooks }) {
    const axis = { stroke: colours.ink3, font: FONT, ticks: { show: false }, grid: { stroke: colours.line, width: 1 } };
    return {
      width,
      height,
      padding: [6, RIGHT, 0, 0],
      legend: { show: false },
      cursor: { y: false, sync: { key: sync, setSeries: false }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: { range } },
      axes: [
        { ...axis, size: last ? 24 : 7, ...(last ? {} : { values: (_, splits) => splits.map(() => "") }) },
        { ...axis, size: AXIS, values: (_, splits) => splits.map(ticks), space: 28 },
      ],
      series: [{}, ...series.map((one) => ({ stroke: one.colour, width: 1.5, points: { show: false } }))],
      hooks,
    };
  }

  /** Values at the cursor, written beside the plot's name without drawing the page anew. */
  function readout(element, plot, series, format) {
    const at = plot.cursor.idx;
    const parts = at === null || at === undefined || plot.cursor.left < 0 ? [] : series.slice(0, 6).map((one, number) => {
      const part = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.style.background = one.colour;
      part.append(swatch, `${one.name} `, Object.assign(document.createElement("b"), { textContent: format(plot.data[number + 1][at]) }));
      return part;
    });
    if (parts.length) parts.unshift(Object.assign(document.createElement("span"), { textContent: `frame ${plot.data[0][at]}` }));
    element.replaceChildren(...parts);
  }

  /**
   * @param x frame indices; series [{name, colour, values}], `named` beside the plot's name; marks [{frame, colour}]; chosen a frame or null
   * @param onPick(frame) for a click, onSpan(first, last) when the plot shows another part of the video
   */
  function Plot({ name, help, named, summary, x, series, height, last, range, format, ticks, sync, marks, chosen, onPick, onSpan, theme }) {
    const [holder, values] = [useRef(null), useRef(null)];
    const now = useRef({});
    now.current = { marks, chosen, onPick, onSpan };
    const plot = useRef(null);
    useLayoutEffect(() => {
      const colours = Object.fromEntries(
        [["line", "--line"], ["ink3", "--ink-3"], ["accent", "--accent"]].map(([key, name]) => [key, vosBatch.theme.colour(name)])
      );
      let down = 0;
      const hooks = {
        drawAxes: [(u) => lines(u, now.current.marks, now.current.chosen, colours)],
        setCursor: [(u) => values.current && readout(values.current, u, series, format)],
        setScale: [(u, key) => key === "x" && now.current.onSpan?.(u.scales.x.min, u.scales.x.max)],
        ready: [(u) => {
          u.over.addEventListener("mousedown", (event) => (down = event.clientX));
          u.over.addEventListener("click", (event) => {
            if (Math.abs(event.clientX - down) <= CLICK && u.cursor.idx !== null) now.current.onPick(u.data[0][u.cursor.idx]);
          });
        }],
      };
      const made = new uPlot(
        options({ width: holder.current.clientWidth || 300, height, last, series, range, ticks, sync, colours, hooks }),
        [x, ...series.map((one) => one.values)],
        holder.current
      );
      plot.current = made;
      const sizes = new ResizeObserver(() => holder.current && made.setSize({ width: holder.current.clientWidth, height }));
      sizes.observe(holder.current);
      return () => {
        sizes.disconnect();
        made.destroy();
        plot.current = null;
      };
    }, [x, series, height, theme]);
    useEffect(() => plot.current?.redraw(false), [chosen, marks]);
    return html`<section class="plot">
      <header>
        <h3 title=${help}>${name}</h3>
        ${named && html`<p class="names">${series.map((one) => html`<span><i class="swatch" style=${{ background: one.colour }}></i>${one.name}</span>`)}</p>`}
        <p class="readout" ref=${values}></p>
      </header>
      <div ref=${holder} role="img" aria-label=${summary}></div>
    </section>`;
  }

  return Object.assign(Plot, { AXIS, RIGHT });
})();
