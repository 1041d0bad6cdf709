/* Numbers and times as a person reads them. */
"use strict";

vosBatch.format = (() => {
  const NONE = "–";
  const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

  const count = (value) => (known(value) ? grouped.format(value) : NONE);
  const fixed = (value, digits) => (known(value) ? value.toFixed(digits) : NONE);

  /** Three digits that matter. */
  function rough(value) {
    if (!known(value)) return NONE;
    if (value >= 100 || value === 0) return count(value);
    return value >= 10 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
  }

  function percent(part, whole) {
    if (!known(part) || !whole) return NONE;
    const share = (100 * part) / whole;
    const digits = share === 0 || share === 100 ? 0 : share >= 10 && share < 99.5 ? 0 : share >= 1 ? 1 : 2;
    return `${share.toFixed(digits)} %`;
  }

  function duration(seconds) {
    if (!known(seconds)) return NONE;
    if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
    if (seconds < 120) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 120) return `${minutes} min`;
    return `${grouped.format(Math.floor(minutes / 60))} h ${String(minutes % 60).padStart(2, "0")} min`;
  }

  /** An amount of whatever currency the price was in. */
  const money = (value) => (!known(value) ? NONE : value === 0 || value >= 1 ? value.toFixed(2) : value.toPrecision(2));

  const time = (iso) => (iso ? `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` : NONE);
  const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

  return { NONE, known, count, fixed, rough, percent, duration, money, time, plural };
})();
