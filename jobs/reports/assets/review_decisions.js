/* What was decided: kept in this browser from key to key, undone, saved as a file and read from one.

   The file is that of `vos-batch manifest correct --layout decisions`. */
"use strict";

vosBatch.decisions = (() => {
  const FORMAT = "vos-batch-decisions";
  const VERSION = 1;
  const CHOICES = ["accept", "reject", "unsure"];

  /** The decisions on the items of a queue (data/queue.js), numbered by their places in it. */
  function open(queue, changed) {
    const key = `${FORMAT}/${queue.key}`;
    const total = queue.items.frame.length;
    const undoable = [];
    let made = new Map();
    let kept = true;

    const readable = (number, choice) => Number.isInteger(number) && number >= 0 && number < total && CHOICES.includes(choice);

    function recall() {
      try {
        const pairs = JSON.parse(localStorage.getItem(key) || "[]");
        made = new Map(pairs.filter(([number, choice]) => readable(number, choice)));
      } catch {
        kept = false; // a browser that keeps nothing for files, or another program's entry
      }
    }

    function keep() {
      try {
        localStorage.setItem(key, JSON.stringify([...made]));
      } catch {
        kept = false;
      }
      changed();
    }

    function put(number, choice) {
      choice ? made.set(number, choice) : made.delete(number);
    }

    /** Decide the same on some items; null takes decisions back. */
    function decide(numbers, choice) {
      undoable.push(numbers.map((number) => [number, made.get(number) || null]));
      numbers.forEach((number) => put(number, choice));
      keep();
    }

    /** Take the last decisions back; the numbers of their items. */
    function undo() {
      const before = undoable.pop() || [];
      before.forEach(([number, choice]) => put(number, choice));
      if (before.length) keep();
      return before.map(([number]) => number);
    }

    function counts() {
      const of = Object.fromEntries(CHOICES.map((choice) => [choice, 0]));
      made.forEach((choice) => of[choice]++);
      return { ...of, decided: made.size, total };
    }

    const video = (number) => queue.videos[queue.items.video[number]];
    const entry = (number) => ({
      video_id: video(number).id,
      identity: video(number).identity,
      frame_index: queue.items.frame[number],
      object_id: queue.items.object[number],
    });

    function file() {
      const numbers = [...made.keys()].sort((one, other) => one - other);
      const decisions = numbers.map((number) => ({ ...entry(number), decision: made.get(number) }));
      return { format: FORMAT, version: VERSION, output: queue.output, decisions };
    }

    /** Take over those of a saved file that are on items of this queue; how many, and how many are not. */
    function takeOver(text) {
      const content = JSON.parse(text);
      if (!content || content.format !== FORMAT || content.version !== VERSION || !Array.isArray(content.decisions)) {
        throw new Error("it is no file of decisions that this page reads");
      }
      const named = (one) => JSON.stringify([one.video_id, one.identity, one.frame_index, one.object_id]);
      const numbers = new Map(queue.items.frame.map((_, number) => [named(entry(number)), number]));
      const found = content.decisions.filter((one) => numbers.has(named(one)) && CHOICES.includes(one.decision));
      undoable.push(found.map((one) => [numbers.get(named(one)), made.get(numbers.get(named(one))) || null]));
      found.forEach((one) => put(numbers.get(named(one)), one.decision));
      keep();
      return { taken: found.length, left: content.decisions.length - found.length };
    }

    recall();
    addEventListener("storage", (event) => {
      if (event.key === key) {
        recall(); // another window decides on the same queue
        changed();
      }
    });
    return { of: (number) => made.get(number), decide, undo, counts, file, takeOver, canUndo: () => undoable.length > 0, isKept: () => kept, entry, video };
  }

  return { open, CHOICES };
})();
