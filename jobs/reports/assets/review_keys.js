/* The keys of the review page. They work while a card, or one of its buttons, has the focus. */
"use strict";

vosBatch.reviewKeys = (() => {
  const { ANSWERS } = vosBatch.Card;

  /** What the help lists: keys and what they do. */
  const HELP = [
    ["← → ↑ ↓, Home, End", "go to another card"],
    ["A, R, U", "accept, reject, unsure, and go on"],
    ["Shift + A, R, U", "the same for all cards of the page that are not decided"],
    ["Backspace", "take the decision back"],
    ["Z", "undo"],
    ["N", "next card that is not decided"],
    ["Page ↓, Page ↑", "next page, page before"],
    ["Space", "play or stop the frames around"],
    ["+, −", "closer, or more around the object"],
    ["O", "outlines on or off"],
    ["S", "save the decisions"],
  ];

  /** Cards in a row, as the window is now. */
  function columns(grid) {
    const tops = [...grid.children].map((card) => card.offsetTop);
    return Math.max(1, tops.filter((top) => top === tops[0]).length);
  }

  /** What a key press asks for: {do, ...}; null for one that is not ours. */
  function command(event, grid) {
    if (event.altKey) return null;
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) return letter === "z" && !event.shiftKey ? { do: "undo" } : null;
    const answer = ANSWERS.find((one) => one.key.toLowerCase() === letter);
    if (answer) return { do: event.shiftKey ? "decideRest" : "decide", choice: answer.choice };
    if (event.key === " ") return event.target.tagName === "BUTTON" ? null : { do: "play" };
    return plain(event.key, letter, grid);
  }

  function plain(key, letter, grid) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(grid), ArrowDown: columns(grid) };
    if (key in moves) return { do: "move", by: moves[key] };
    const others = {
      Home: { do: "move", by: -Infinity },
      End: { do: "move", by: Infinity },
      PageDown: { do: "turn", by: 1 },
      PageUp: { do: "turn", by: -1 },
      Backspace: { do: "decide", choice: null },
      Delete: { do: "decide", choice: null },
    };
    const letters = {
      z: { do: "undo" },
      n: { do: "next" },
      o: { do: "outline" },
      s: { do: "save" },
      "+": { do: "context", by: -1 },
      "=": { do: "context", by: -1 },
      "-": { do: "context", by: 1 },
    };
    return others[key] || letters[letter] || null;
  }

  return { HELP, command };
})();
