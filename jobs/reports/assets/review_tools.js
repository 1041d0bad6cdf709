/* What stands above the cards of the review page: how far one is, how cards look, and what is done with all of them. */
"use strict";

vosBatch.ReviewTools = (() => {
  const { html, useRef } = htmPreact;
  const { count, plural } = vosBatch.format;
  const { ANSWERS } = vosBatch.Card;

  function Progress({ counts }) {
    return html`<div class="progress">
      <progress max=${counts.total} value=${counts.decided} aria-label="Decided">${counts.decided}</progress>
      <span><b>${count(counts.decided)}</b> of ${count(counts.total)} decided</span>
      ${ANSWERS.map(
        ({ choice, said }) => html`<span key=${choice} class="tally ${choice}"><i aria-hidden="true" />${count(counts[choice])} ${said}</span>`,
      )}
    </div>`;
  }

  function Look({ look, onLook }) {
    return html`<label class="context">
        Context
        <input type="range" aria-label="Context" min="1.2" max="4" step="0.1" value=${look.context} aria-valuetext="${look.context} times the object"
          title="Closer, or more around the object (+, −)" onInput=${(event) => onLook({ context: Number(event.target.value) })} />
      </label>
      <button class="button" type="button" aria-pressed=${String(look.outlined)} title="Outlines on or off (O)"
        onClick=${() => onLook({ outlined: !look.outlined })}>Outlines</button>`;
  }

  function Turn({ page, pages, onTurn }) {
    if (pages < 2) return null;
    return html`<nav class="turn" aria-label="Pages of cards">
      <button class="button" type="button" disabled=${page === 0} onClick=${() => onTurn(-1)} aria-label="Page before">‹</button>
      <span>page ${page + 1} of ${count(pages)}</span>
      <button class="button" type="button" disabled=${page === pages - 1} onClick=${() => onTurn(1)} aria-label="Next page">›</button>
    </nav>`;
  }

  function Rest({ open, onRest }) {
    return html`<span class="rest" role="group" aria-label="All cards of this page that are not decided">
      <span class="quiet">${open ? `The ${plural(open, "other card")} here:` : "All here are decided"}</span>
      ${ANSWERS.map(
        ({ choice, word, key }) => html`<button key=${choice} class="button ${choice}" type="button" disabled=${!open}
          title="${word} all cards of this page that are not decided (Shift + ${key})" onClick=${() => onRest(choice)}>${word}</button>`,
      )}
    </span>`;
  }

  function Files({ decided, onSave, onLoad }) {
    const input = useRef(null);
    const read = async (event) => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) onLoad(file.name, await file.text());
    };
    return html`<button class="button" type="button" title="Go on with decisions that were saved" onClick=${() => input.current.click()}>
        Load
      </button>
      <input ref=${input} class="unseen" type="file" accept=".json,application/json" tabindex="-1" aria-label="Decisions that were saved" onChange=${read} />
      <button class="button main" type="button" disabled=${!decided} title="Save the decisions (S)" onClick=${onSave}>Save decisions</button>`;
  }

  function Help() {
    return html`<details class="help">
      <summary class="button plain">Keys</summary>
      <dl class="card">
        ${vosBatch.reviewKeys.HELP.map(([keys, what]) => html`<dt key=${keys}>${keys}</dt><dd>${what}</dd>`)}
      </dl>
    </details>`;
  }

  return function ReviewTools({ counts, look, page, pages, open, canUndo, on }) {
    return html`<div class="tools noprint">
      <div class="row">
        <${Progress} counts=${counts} />
        <span class="push" />
        <${Files} decided=${counts.decided} onSave=${on.save} onLoad=${on.load} />
      </div>
      <div class="row">
        <${Look} look=${look} onLook=${on.look} />
        <button class="button" type="button" disabled=${!canUndo} title="Undo (Z)" onClick=${on.undo}>Undo</button>
        <${Help} />
        <span class="push" />
        <${Rest} open=${open} onRest=${on.rest} />
        <${Turn} page=${page} pages=${pages} onTurn=${on.turn} />
      </div>
    </div>`;
  };
})();
