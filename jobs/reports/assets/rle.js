/* Masks as COCO's compressed counts: runs in column-major order, background first. */
"use strict";

vosBatch.rle = (() => {
  const FIRST = 48; // the character of zero
  const MORE = 32; // bit that says: the number goes on
  const SIGN = 16;

  /** Lengths of the runs: five bits a character, from the third on as the difference to the one before the last. */
  function runs(text) {
    const lengths = [];
    let at = 0;
    while (at < text.length) {
      let value = 0;
      let scale = 1;
      let bits = MORE;
      while (bits & MORE) {
        bits = text.charCodeAt(at++) - FIRST;
        value += (bits & (MORE - 1)) * scale;
        scale *= MORE;
      }
      if (bits & SIGN) value -= scale;
      if (lengths.length > 2) value += lengths[lengths.length - 2];
      lengths.push(value);
    }
    return lengths;
  }

  /** Uint8Array [height x width] row by row: 1 inside the mask. */
  function decode(text, height, width) {
    const mask = new Uint8Array(height * width);
    let at = 0;
    let inside = false;
    for (const length of runs(text)) {
      const end = Math.min(at + length, mask.length);
      if (inside) fill(mask, at, end, height, width);
      at = end;
      inside = !inside;
    }
    return mask;
  }

  function fill(mask, start, end, height, width) {
    let row = start % height;
    let column = (start - row) / height;
    for (let place = start; place < end; place++) {
      mask[row * width + column] = 1;
      if (++row === height) {
        row = 0;
        column++;
      }
    }
  }

  return { runs, decode };
})();
