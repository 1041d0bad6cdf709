/* The chosen frames in a row, with their masks. */
"use strict";

vosBatch.Filmstrip = (() => {
  const { html, useEffect, useLayoutEffect, useRef } = htmPreact;
  const HEIGHT = 68; // pixels of a picture, as in video.css

  /** Masks over a picture, drawn when it first comes into view. */
  function Masks({ shown, video, colours }) {
    const canvas = useRef(null);
    useEffect(() => {
      const { width, height } = video.facts;
      const seen = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        seen.disconnect();
        canvas.current.height = Math.min(height, Math.round(HEIGHT * Math.min(2, devicePixelRatio)));
        canvas.current.width = Math.max(1, Math.round((canvas.current.height * width) / height));
        const objects = shown.objects.map((one) => ({ rle: one.rle, colour: colours[one.id] }));
        vosBatch.masks.paint(canvas.current, objects, { width, height }, { fill: 0.45, line: 1 });
      });
      seen.observe(canvas.current);
      return () => seen.disconnect();
    }, [shown]);
    return html`<canvas ref=${canvas} width="1" height="1"></canvas>`;
  }

  const label = (shown) => [`frame ${shown.frame}`, ...shown.why].join(", ");

  return function Filmstrip({ video, at, colours, onChoose }) {
    const strip = useRef(null);
    useLayoutEffect(() => {
      const chosen = strip.current.children[at];
      const { offsetLeft: left, offsetWidth: width } = chosen;
      strip.current.scrollLeft = left + width / 2 - strip.current.clientWidth / 2;
      if (strip.current.contains(document.activeElement)) chosen.focus({ preventScroll: true });
    }, [at]);
    const ratio = `${video.facts.width} / ${video.facts.height}`;
    return html`<div class="filmstrip" role="group" aria-label="Frames" ref=${strip}>
      ${video.shown.map((shown, place) => html`<button type="button" key=${shown.frame} aria-pressed=${String(place === at)}
        tabindex=${place === at ? 0 : -1} aria-label=${label(shown)} title=${label(shown)} onClick=${() => onChoose(place)}>
        <span class="frame" style=${{ aspectRatio: ratio }}>
          ${shown.picture && html`<img src=${shown.picture} alt="" loading="lazy" decoding="async" />`}
          <${Masks} shown=${shown} video=${video} colours=${colours} />
        </span>
        <span class="caption"><b>${shown.frame}</b> <span class="clip">${shown.why.join(", ")}</span></span>
      </button>`)}
    </div>`;
  };
})();
