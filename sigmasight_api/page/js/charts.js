// Plots: plotly's library, loaded once the page has shown its first numbers, in the page's own colours.

import { Problem } from "./api.js";
import { h, painted, scrolling, table } from "./dom.js";

const QUIET = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
// What is drawn now, to be drawn again when the colours change.
const drawn = new Map();
let library = null;

/** Begin to fetch the library; whoever draws waits for it. */
export function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const source = document.querySelector('meta[name="plotting"]').content;
    document.head.append(h("script", {
      src: source,
      load: () => resolve(window.Plotly),
      error: () => {
        library = null;
        reject(new Problem(0, "The plots could not be loaded: load the page again."));
      },
    }));
  });
  return library;
}

/** The colours of the page as it is now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: named("ink"), soft: named("ink-soft"), line: named("line"), surface: named("surface"),
    own: named("series-own"), other: named("series-other"), third: named("series-third"),
    gain: named("gain"), loss: named("loss"), low: named("heat-low"), middle: named("heat-middle"), high: named("heat-high"),
  };
}

/**
 * A figure: the plot, and under it the same numbers as a table. `describe` is a sentence for who cannot see it;
 * `plot` makes `{data, layout}` of the colours; `figures` makes the arguments of a table.
 */
export function figure({ id, describe, height, plot, figures }) {
  const place = h("div", { class: "plot", id, role: "img", "aria-label": describe });
  place.style.height = `${height}px`;
  const numbers = h("details", { class: "numbers" }, h("summary", null, "Show the numbers"));
  numbers.addEventListener("toggle", () => {
    if (numbers.open && numbers.childElementCount === 1) {
      const shown = figures();
      numbers.append(scrolling(shown.caption, table(shown)));
    }
  });
  const element = h("figure", { class: "figure" }, place, figures ? numbers : null);
  return { element, draw: () => drawInto(place, plot) };
}

async function drawInto(place, plot) {
  let plotly;
  try {
    plotly = await loadLibrary();
  } catch (error) {
    // The numbers beside the plot are there without it.
    place.style.height = "";
    place.replaceChildren(h("p", { class: "notice notice-warn" }, error.detail));
    return;
  }
  await painted();
  dropGone();
  if (!place.isConnected) return;
  drawn.set(place, plot);
  const { data, layout } = plot(colours());
  await plotly.react(place, data, withDefaults(layout), QUIET);
}

/** Draw every plot anew, in other colours; forget those that have left the page. */
export async function recolour() {
  dropGone();
  for (const [place, plot] of [...drawn]) await drawInto(place, plot);
}

// Plots that have left the page would go on listening to its size.
function dropGone() {
  for (const place of [...drawn.keys()].filter((one) => !one.isConnected)) {
    drawn.delete(place);
    window.Plotly?.purge(place);
  }
}

function withDefaults(layout) {
  const colour = colours();
  const axis = {
    gridcolor: colour.line, linecolor: colour.line, zerolinecolor: colour.soft, zerolinewidth: 1,
    tickfont: { color: colour.soft }, title: { font: { color: colour.soft, size: 12 } }, automargin: true, fixedrange: true,
  };
  const axes = Object.fromEntries(Object.entries(layout).filter(([name]) => /^[xy]axis\d*$/.test(name))
    .map(([name, given]) => [name, { ...axis, ...given, title: given.title && { ...axis.title, ...given.title } }]));
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 12, t: 8, b: 8 },
    font: { family: "inherit", size: 12, color: colour.ink }, showlegend: false, dragmode: false,
    hoverlabel: { bgcolor: colour.surface, bordercolor: colour.line, font: { color: colour.ink } },
    ...layout, ...axes,
  };
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => recolour());
