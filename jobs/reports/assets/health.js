/* How the runs went: figures, where the time went, what failed. */
"use strict";

vosBatch.Health = (() => {
  const { html } = htmPreact;
  const { count, percent, rough, duration, money, plural } = vosBatch.format;
  const STAGES = { network: "network", decode: "waiting for frames", write: "waiting for the writer", other: "loading and storing" };

  const Figure = ({ name, value, note, tone }) => html`<div class="figure">
    <dt>${name}</dt>
    <dd><b class=${tone || ""}>${value}</b>${note && html`<span>${note}</span>`}</dd>
  </div>`;

  function figures(health, total) {
    const of = (status) => health.statuses[status] || 0;
    const done = total - of("failed");
    const found = [{ name: "Done", value: count(done), note: `of ${plural(total, "video")}` }];
    found.push({ name: "Failed", value: count(of("failed")), tone: of("failed") ? "bad" : "",
      note: health.failed_again ? `${count(health.failed_again)} more keep an older result` : "without a result" });
    const early = of("truncated") + of("needs_prompt");
    found.push({ name: "Ended early", value: count(early), tone: early ? "warn" : "",
      note: early ? `${count(of("needs_prompt"))} need a prompt, ${count(of("truncated"))} truncated` : "truncated or lost" });
    if (of("damaged")) found.push({ name: "Damaged", value: count(of("damaged")), tone: "warn", note: "bad packets inside" });
    if (health.judged) {
      found.push({ name: "Expected J below 0.5", value: percent(health.bad, health.judged),
        note: `${count(health.bad)} of ${count(health.judged)} masks judged` });
    }
    found.push({ name: "Masks", value: count(health.object_frames), note: `in ${plural(health.frames, "frame")}` });
    found.push({ name: "Speed", value: rough(health.frames_per_s), note: "frames/s a worker" });
    if (health.receipt) {
      found.push({ name: "Cost of 1,000 masks", value: money(health.receipt.cost_per_1000_masks),
        note: `${money(health.receipt.cost)} for ${duration(3600 * health.receipt.hours)}` });
    }
    return found;
  }

  function Stages({ seconds }) {
    const total = Object.values(seconds).reduce((sum, one) => sum + one, 0);
    if (!total) return null;
    const names = Object.keys(STAGES).filter((name) => seconds[name] > 0);
    return html`<section class="stages" aria-labelledby="stages">
      <h2 id="stages">Time of workers: ${duration(total)}</h2>
      <div class="meter" aria-hidden="true">
        ${names.map((name) => html`<i class=${name} style=${{ flexGrow: seconds[name] }}></i>`)}
      </div>
      <ul>${names.map((name) => html`<li><i class="swatch ${name}"></i>${STAGES[name]}
        <b>${duration(seconds[name])}</b> <span class="quiet">${percent(seconds[name], total)}</span></li>`)}</ul>
    </section>`;
  }

  function Causes({ causes, onCause }) {
    const named = Object.entries(causes);
    if (!named.length) return null;
    return html`<section class="causes" aria-labelledby="causes">
      <h2 id="causes">Why videos failed</h2>
      <ul>${named.map(([cause, number]) => html`<li><span class="mono">${cause}</span> <b>${count(number)}</b></li>`)}</ul>
      <button class="button plain noprint" type="button" onClick=${onCause}>Show them</button>
    </section>`;
  }

  return ({ summary, total, onFailed }) => {
    const { health } = summary;
    return html`<section class="health" aria-label="How the runs went">
      <dl class="figures card">${figures(health, total).map((one) => html`<${Figure} ...${one} />`)}</dl>
      <div class="beside">
        <${Stages} seconds=${health.seconds} />
        <${Causes} causes=${health.causes} onCause=${onFailed} />
      </div>
    </section>`;
  };
})();
