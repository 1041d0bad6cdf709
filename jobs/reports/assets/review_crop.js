/* The picture of a card: a crop of the frame with the outline of its object, and the frames around it one after the
   other. */
"use strict";

vosBatch.Crop = (() => {
  const { html, useEffect, useState } = htmPreact;
  const FRAME_MS = 280;
  const STAY_MS = 900; // on the frame that is asked about
  const SMALLEST = 32; // pixels of a crop that are shown at least

  /** [x, y, side] of what is seen of a crop: so many times the object's size, as far as possible inside. */
  function view(card, context) {
    const [width, height] = card.size;
    const [x, y, boxWidth, boxHeight] = card.box;
    const side = Math.min(Math.max(context * Math.max(boxWidth, boxHeight), SMALLEST), Math.max(width, height));
    return [inside(x + boxWidth / 2, side, width), inside(y + boxHeight / 2, side, height), side];
  }

  function inside(centre, side, length) {
    return side >= length ? (length - side) / 2 : Math.min(Math.max(0, centre - side / 2), length - side);
  }

  /** The place of the frame to show: the one that is asked about, or the next of all while `playing`. */
  function usePlace(card, asked, playing) {
    const [place, setPlace] = useState(asked);
    useEffect(() => {
      setPlace(asked);
    }, [card, playing]);
    useEffect(() => {
      if (!playing || card.frames.length < 2) return undefined;
      const timer = setTimeout(() => setPlace((place + 1) % card.frames.length), place === asked ? STAY_MS : FRAME_MS);
      return () => clearTimeout(timer);
    }, [card, playing, place]);
    return playing ? Math.min(place, card.frames.length - 1) : asked;
  }

  const HALVES = "translate(.25 .25) scale(.5)"; // outlines count in half pixels

  function Frame({ frame, card, outlined, hidden }) {
    const [width, height] = card.size;
    const line = { d: frame.outline, "vector-effect": "non-scaling-stroke", "fill-rule": "evenodd" };
    return html`<g visibility=${hidden ? "hidden" : "visible"}>
      ${frame.picture
        ? html`<image href=${frame.picture} width=${width} height=${height} preserveAspectRatio="none" />`
        : html`<rect width=${width} height=${height} class="no-picture" />`}
      ${outlined &&
      html`<g transform=${HALVES}>
        ${frame.others.map(
          ([colour, id, path]) =>
            html`<path key=${id} class="other" d=${path} stroke=${colour} vector-effect="non-scaling-stroke" />`,
        )}
        <path class="halo" ...${line} />
        <path class="outline" ...${line} stroke=${card.colour} fill=${card.colour} />
      </g>`}
    </g>`;
  }

  /** `asked`: the frame_index that the card is about; `context`: what is seen, in sizes of the object. */
  return function Crop({ card, asked, context, outlined, playing }) {
    const askedPlace = Math.max(0, card.frames.findIndex((frame) => frame.frame === asked));
    const place = usePlace(card, askedPlace, playing);
    const [x, y, side] = view(card, context);
    // While it plays all frames lie on each other, so that none flickers once it has been loaded.
    const frames = playing ? card.frames : [card.frames[askedPlace]];
    return html`<div class="crop">
      <svg viewBox="${x} ${y} ${side} ${side}" aria-hidden="true">
        ${frames.map(
          (frame) => html`<${Frame}
            key=${frame.frame}
            frame=${frame}
            card=${card}
            outlined=${outlined}
            hidden=${playing && frame !== card.frames[place]}
          />`,
        )}
      </svg>
      ${!card.frames[place].outline && html`<p class="empty">no pixel of the object</p>`}
      <ol class="track" aria-hidden="true">
        ${card.frames.map((frame, at) => html`<li key=${frame.frame} class=${at === place ? "now" : ""} />`)}
      </ol>
    </div>`;
  };
})();
