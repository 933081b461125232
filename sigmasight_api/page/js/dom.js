// Elements made by calls. Texts stay texts: nothing that somebody typed can become markup.

/**
 * An element. Attributes whose value is null, undefined or false are left out; functions are listeners by event name;
 * children that are null or false are left out, and what is no node becomes text.
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A table of rows of texts or nodes. Columns are `{label, numeric, title}`; the first heads its row. */
export function table({ caption, columns, rows, className = "figures-table" }) {
  const heads = columns.map((column) =>
    h("th", { scope: "col", class: column.numeric && "number", title: column.title }, column.label));
  const body = rows.map((cells) => h("tr", null, cells.map((cell, place) => place === 0
    ? h("th", { scope: "row", class: columns[0].numeric && "number" }, cell)
    : h("td", { class: columns[place].numeric && "number" }, cell))));
  return h("table", { class: className }, h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, heads)), h("tbody", null, body));
}

/** What is wider than its place and can be scrolled, also by keyboard. */
export function scrolling(label, child) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, child);
}

/** Tells a screen reader what has happened; others see it on the page. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** The next moment at which the browser has painted. */
export function painted() {
  return new Promise((resolve) => {
    // A hidden page paints nothing, but is to be ready when it is looked at.
    if (document.hidden) setTimeout(resolve, 0);
    else requestAnimationFrame(() => setTimeout(resolve, 0));
  });
}
