/* Masks in colour on a canvas, which lies over the frame. */
"use strict";

vosBatch.masks = (() => {
  /** A pixel of a canvas as one number, as processors of browsers store it: the lowest byte is red. */
  function pixel(colour, opacity) {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return ((Math.round(255 * opacity) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }

  /** A mask in the size of a canvas, by its nearest pixels. */
  function sampled(mask, size, width, height) {
    if (size.width === width && size.height === height) return mask;
    const out = new Uint8Array(width * height);
    const columns = Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * size.width) / width));
    for (let y = 0; y < height; y++) {
      const row = Math.floor(((y + 0.5) * size.height) / height) * size.width;
      for (let x = 0; x < width; x++) out[y * width + x] = mask[row + columns[x]];
    }
    return out;
  }

  /** Whether a pixel of a mask lies within `line` pixels of what is not in it; beyond the picture is not outside. */
  function onEdge(mask, width, height, x, y, line) {
    for (let far = 1; far <= line; far++) {
      const at = y * width + x;
      if (x >= far && !mask[at - far]) return true;
      if (x < width - far && !mask[at + far]) return true;
      if (y >= far && !mask[at - far * width]) return true;
      if (y < height - far && !mask[at + far * width]) return true;
    }
    return false;
  }

  /**
   * Draw masks over all of a canvas, in its own resolution.
   * @param objects [{rle, colour}], colours as "#rrggbb"; later ones lie on top
   * @param size {height, width} of the masks
   * @param look {fill: 0..1 opacity inside, line: pixels of the outline}
   */
  function paint(canvas, objects, size, look) {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    for (const object of objects) {
      const mask = sampled(vosBatch.rle.decode(object.rle, size.height, size.width), size, width, height);
      const [fill, line] = [look.fill, 1].map((opacity) => pixel(object.colour, opacity));
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const at = y * width + x;
          if (mask[at]) pixels[at] = look.line && onEdge(mask, width, height, x, y, look.line) ? line : fill;
        }
      }
    }
    context.putImageData(picture, 0, 0);
  }

  return { paint };
})();
