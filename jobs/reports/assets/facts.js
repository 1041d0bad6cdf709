/* What is known of a video as a whole. */
"use strict";

vosBatch.Facts = (() => {
  const { html } = htmPreact;
  const { count, duration, rough } = vosBatch.format;

  function listed(facts) {
    const frames = facts.frames_expected !== null && facts.frames_expected !== facts.frames_decoded
      ? `${count(facts.frames_decoded)} of ${count(facts.frames_expected)}` : count(facts.frames_decoded);
    const rows = [["Frames", frames], ["Picture", `${facts.width} × ${facts.height}, ${facts.codec}`]];
    if (facts.fps) rows.push(["Rate", `${rough(facts.fps)} frames/s`]);
    rows.push(["Took", `${duration(facts.seconds_total)}, network ${duration(facts.seconds_network)}`]);
    if (facts.attempts > 1) rows.push(["Attempts", count(facts.attempts)]);
    if (facts.bad_packets) rows.push(["Bad packets", count(facts.bad_packets)]);
    rows.push(["Weights", html`<span class="mono">${facts.checkpoint}</span>`]);
    rows.push(["Identity", html`<span class="mono clip" title=${facts.identity}>${facts.identity.slice(0, 16)}</span>`]);
    return rows;
  }

  return ({ facts }) => html`<dl class="facts">${listed(facts).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
})();
