/* A card of the review page: what is asked, the picture, and the three answers. */
"use strict";

vosBatch.Card = (() => {
  const { html, useState } = htmPreact;
  const { fixed } = vosBatch.format;
  const ANSWERS = [
    { choice: "accept", word: "Accept", key: "A", said: "accepted", means: "the mask is right" },
    { choice: "reject", word: "Reject", key: "R", said: "rejected", means: "the object is not in this frame" },
    { choice: "unsure", word: "Unsure", key: "U", said: "unsure", means: "say nothing, or draw it anew later" },
  ];
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const said = (choice) => (ANSWERS.find((answer) => answer.choice === choice) || { said: "not decided" }).said;
  const title = (asked) => `video ${asked.video_id}, frame ${asked.frame_index}, object ${asked.object_id}`;

  /** Where the report shows the frame among the others of its video. */
  const hash = (asked) => `index.html#video=${encodeURIComponent(asked.video_id)}&frame=${asked.frame_index}`;

  /** What a screen reader says of a card. */
  function label(asked, card, choice) {
    const why = [`expected J ${fixed(card.expected_j, 2)}`, ...card.reasons].join(", ");
    return `${title(asked)}: ${said(choice)}; ${why}`;
  }

  function Answers({ choice, current, onDecide }) {
    return html`<div class="answers">
      ${ANSWERS.map(
        (answer) => html`<button
          key=${answer.choice}
          type="button"
          class=${answer.choice}
          title="${answer.means} (${answer.key})"
          aria-pressed=${choice === answer.choice ? "true" : "false"}
          tabindex=${current ? 0 : -1}
          onClick=${() => onDecide(choice === answer.choice ? null : answer.choice)}
        >
          ${answer.word}
        </button>`,
      )}
    </div>`;
  }

  /** `asked`: its entry of the queue; `current`: whether it is the one that keys act on; `played`: by a key. */
  function Card({ number, asked, card, choice, current, played, look, problem, onDecide, onCurrent }) {
    const [hovered, setHovered] = useState(false);
    const [focused, setFocused] = useState(false);
    const playing = played === null ? (hovered || focused) && !still.matches : current && played;
    const { first, last } = card;
    return html`<li
      class="card ${choice || ""} ${current ? "current" : ""}"
      onMouseEnter=${() => setHovered(true)}
      onMouseLeave=${() => setHovered(false)}
      onfocusin=${onCurrent}
    >
      <div
        id="card-${number}"
        class="ask"
        role="group"
        aria-roledescription="card"
        aria-label=${label(asked, card, choice)}
        tabindex=${current ? 0 : -1}
        onFocus=${() => setFocused(true)}
        onBlur=${() => setFocused(false)}
        onClick=${(event) => event.currentTarget.focus()}
      >
        <${vosBatch.Crop} card=${card} asked=${asked.frame_index} context=${look.context} outlined=${look.outlined} playing=${playing} />
        <span class="verdict" aria-hidden="true">${choice ? said(choice) : ""}</span>
        <p class="name"><i style=${{ background: card.colour }}></i><bdi>${asked.video_id}</bdi></p>
        <p class="what">
          <a href=${hash(asked)} target="_blank" tabindex=${current ? 0 : -1} title="The video at this frame">frame ${asked.frame_index}</a>, object
          ${" "}${asked.object_id}<span class="j" title="expected J">J ${fixed(card.expected_j, 2)}</span>
        </p>
        <p class="why">
          ${card.reasons.join(", ")}${last > first ? ` (frames ${first} to ${last})` : ""}${problem && `; no picture: ${problem}`}
        </p>
      </div>
      <${Answers} choice=${choice} current=${current} onDecide=${onDecide} />
    </li>`;
  }

  return Object.assign(Card, { ANSWERS, said, title });
})();
