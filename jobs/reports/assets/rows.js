/* The table's rows: from columns, chosen and in order. No page in here. */
"use strict";

vosBatch.rows = (() => {
  /** Rows of the summary's columns. */
  function ofColumns(columns) {
    const names = Object.keys(columns);
    return columns.id.map((_, at) => {
      const row = {};
      for (const name of names) row[name] = columns[name][at];
      row.bad_share = row.judged ? row.bad / row.judged : null;
      row.pixels = row.width === null ? null : row.width * row.height;
      row.text = row.id.toLowerCase();
      return row;
    });
  }

  /** Rows whose id holds the text, of a status (null: any), and as bad as asked for. */
  function chosen(rows, { text, status, worst }) {
    const wanted = text.trim().toLowerCase();
    return rows.filter(
      (row) => row.text.includes(wanted) && (status === null || row.status === status) && asBad(row, worst)
    );
  }

  /** `worst` is "" or such as "worst_j<0.5", "peak>0.5". */
  function asBad(row, worst) {
    if (!worst) return true;
    const [, name, sign, limit] = worst.match(/^(\w+)([<>])(.+)$/);
    const value = row[name];
    return value !== null && (sign === "<" ? value < Number(limit) : value > Number(limit));
  }

  const order = new Intl.Collator("en", { numeric: true });

  /** The rows by a column; what has no value comes last whichever the direction, and ids decide between equals. */
  function sorted(rows, { by, down }) {
    const sign = down ? -1 : 1;
    const compare = (a, b) => {
      const [x, y] = [a[by], b[by]];
      if (x === y) return order.compare(a.id, b.id);
      if (x === null) return 1;
      if (y === null) return -1;
      return sign * (typeof x === "string" ? order.compare(x, y) : x - y);
    };
    return [...rows].sort(compare);
  }

  return { ofColumns, chosen, sorted };
})();
