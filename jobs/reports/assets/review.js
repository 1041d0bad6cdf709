/* The review page: cards in the order of the queue, which nothing changes while one works. */
"use strict";

(() => {
  const { html, render, useEffect, useLayoutEffect, useReducer, useRef, useState } = htmPreact;
  const { Card, ReviewTools, reviewKeys } = vosBatch;
  const { plural } = vosBatch.format;
  const LOOK = { context: 2, outlined: true };
  const CLOSEST = 1.2;
  const FARTHEST = 4;
  const STEP = 0.4;
  const FILE = "decisions.json";

  const cardsOf = (page) => vosBatch.load(`data/queue/${page}.js`, `queue/${page}`);
  const clamped = (value, least, most) => Math.min(Math.max(value, least), most);

  function saveFile(content) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" }));
    link.download = FILE;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** The decisions of the queue; the page is drawn anew when they change. */
  function useDecisions(queue) {
    const [, redraw] = useReducer((turn) => turn + 1, 0);
    const ref = useRef(null);
    ref.current = ref.current || vosBatch.decisions.open(queue, redraw);
    return ref.current;
  }

  /** The cards of a page: null while they are loaded, or an Error. */
  function useCards(page) {
    const [loaded, setLoaded] = useState({ page: null, cards: null });
    useEffect(() => {
      let wanted = true;
      cardsOf(page).then(
        (cards) => wanted && setLoaded({ page, cards }),
        (error) => wanted && setLoaded({ page, cards: error }),
      );
      return () => (wanted = false);
    }, [page]);
    return loaded.page === page ? loaded.cards : null;
  }

  function firstOpen(decisions, total, from = 0) {
    for (let step = 0; step < total; step++) {
      const number = (from + step) % total;
      if (!decisions.of(number)) return number;
    }
    return null;
  }

  /** The card that keys act on, which has the focus once somebody went there. */
  function useCurrent(first, total) {
    const [current, setCurrent] = useState(first);
    const wanted = useRef(true);
    const go = (number) => {
      wanted.current = true;
      setCurrent(clamped(number, 0, total - 1));
    };
    useLayoutEffect(() => {
      const card = wanted.current && document.getElementById(`card-${current}`);
      if (card) {
        wanted.current = false;
        card.focus();
      }
    });
    return [current, go, setCurrent];
  }

  function Review({ queue }) {
    const decisions = useDecisions(queue);
    const total = queue.items.frame.length;
    const size = queue.page_size;
    const [current, go, follow] = useCurrent(firstOpen(decisions, total) || 0, total);
    const [look, setLook] = useState(LOOK);
    const [played, setPlayed] = useState(null);
    const [message, tell] = useState("");
    const grid = useRef(null);
    const page = Math.floor(current / size);
    const pages = Math.ceil(total / size);
    const cards = useCards(page);
    const numbers = Array.from({ length: Math.min(size, total - page * size) }, (_, place) => page * size + place);
    const open = numbers.filter((number) => !decisions.of(number));
    const title = (number) => Card.title(decisions.entry(number));
    const change = (what) => setLook({ ...look, ...what });

    const on = {
      look: change,
      save() {
        saveFile(decisions.file());
        tell(`Saved ${plural(decisions.counts().decided, "decision")} as ${FILE}`);
      },
      load(name, text) {
        try {
          const { taken, left } = decisions.takeOver(text);
          tell(`${name}: ${plural(taken, "decision")} taken over` + (left ? `, ${left} are not on what is asked here` : ""));
        } catch (error) {
          tell(`${name} was not read: ${error.message}`);
        }
        go(current);
      },
      rest(choice) {
        if (!open.length) return tell("All cards of this page are decided");
        decisions.decide(open, choice);
        tell(`${plural(open.length, "card")} ${Card.said(choice)}; Z takes that back`);
        return go(numbers[numbers.length - 1]);
      },
      undo() {
        const undone = decisions.undo();
        if (!undone.length) return tell("Nothing to undo");
        tell(undone.length > 1 ? `Undone for ${undone.length} cards` : `Undone: ${title(undone[0])} is ${Card.said(decisions.of(undone[0]))}`);
        return go(undone[0]);
      },
      turn(by) {
        const next = clamped(page + by, 0, pages - 1);
        tell(next === page ? (by > 0 ? "This is the last page" : "This is the first page") : `Page ${next + 1} of ${pages}`);
        if (next !== page) go(next * size);
      },
    };

    function decide(number, choice) {
      decisions.decide([number], choice);
      const { decided } = decisions.counts();
      tell(`${Card.said(choice)}: ${title(number)}; ${decided} of ${total} decided`);
    }

    /** Keys go on by themselves, within the page. */
    function decideAndGoOn(choice) {
      decide(current, choice);
      if (choice && current < numbers[numbers.length - 1]) go(current + 1);
    }

    function nextOpen() {
      const number = firstOpen(decisions, total, current + 1);
      number === null ? tell("All are decided") : go(number);
    }

    function onKey(event) {
      const asked = reviewKeys.command(event, grid.current);
      if (!asked) return;
      event.preventDefault();
      const act = {
        move: () => go(clamped(current + asked.by, numbers[0], numbers[numbers.length - 1])),
        turn: () => on.turn(asked.by),
        decide: () => decideAndGoOn(asked.choice),
        decideRest: () => on.rest(asked.choice),
        undo: on.undo,
        next: nextOpen,
        play: () => setPlayed((now) => (now === null ? false : !now)),
        context: () => change({ context: clamped(Math.round(10 * (look.context + STEP * asked.by)) / 10, CLOSEST, FARTHEST) }),
        outline: () => change({ outlined: !look.outlined }),
        save: on.save,
      };
      act[asked.do]();
    }

    return html`<main class="review">
      <h1 class="unseen">Review</h1>
      <${ReviewTools} counts=${decisions.counts()} look=${look} page=${page} pages=${pages} open=${open.length} canUndo=${decisions.canUndo()} on=${on} />
      ${!decisions.isKept() && html`<p class="notice">This browser keeps nothing for this page: save the decisions before you leave it.</p>`}
      ${cards instanceof Error && html`<p class="notice">${cards.message}: the report is not whole, make it again.</p>`}
      ${cards === null && html`<p class="loading">Loading</p>`}
      <ol class="cards" ref=${grid} aria-label="Object-frames to review, worst first" onKeyDown=${onKey}>
        ${Array.isArray(cards) && numbers.map(
          (number, place) => html`<${Card}
            key=${number}
            number=${number}
            asked=${decisions.entry(number)}
            card=${cards[place]}
            choice=${decisions.of(number)}
            current=${number === current}
            played=${played}
            look=${look}
            problem=${decisions.video(number).problem}
            onDecide=${(choice) => decide(number, choice)}
            onCurrent=${() => follow(number)}
          />`,
        )}
      </ol>
      <${Next} output=${queue.output} />
      <p class="said noprint" role="status">${message}</p>
    </main>`;
  }

  function Next({ output }) {
    return html`<section class="next">
      <h2>What becomes of decisions</h2>
      <p>
        What is accepted is right on its frame, and becomes a prompt there. What is rejected is not on its frame: the network is
        told so, and forgets what it took for the object. Nothing is said of what is unsure; draw such frames anew
        (<code>vos-batch export</code>). Then only these videos are segmented again:
      </p>
      <pre>vos-batch manifest correct MANIFEST --from ${FILE} --layout decisions --run ${output} --output corrected.jsonl
vos-batch segment corrected.jsonl ${output}</pre>
    </section>`;
  }

  function Page({ summary, queue }) {
    useEffect(() => {
      document.title = "Review · vos-batch report";
    }, []);
    return html`<${vosBatch.parts.Bar} summary=${summary} here="review" />
      ${queue.items.frame.length ? html`<${Review} queue=${queue} />` : html`<p class="loading">There is nothing to review.</p>`}`;
  }

  const page = document.getElementById("page");
  const [summary, queue] = [vosBatch.here("summary"), vosBatch.here("queue")];
  page.replaceChildren();
  if (summary && queue) {
    render(html`<${Page} summary=${summary} queue=${queue} />`, page);
  } else {
    const missing = summary ? "data/queue.js" : "data/summary.js";
    render(html`<p class="loading">This report is not whole: ${missing} is missing. Make it again.</p>`, page);
  }
})();
