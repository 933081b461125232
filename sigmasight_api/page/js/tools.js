// What both pages have in their head: the choice of colours.

import { h } from "./dom.js";

const KEY = "sigmasight.theme";

/** A choice between the system's colours, light and dark; `changed` is called once they have changed. */
export function themeChoice(changed) {
  const chosen = localStorage.getItem(KEY) ?? "";
  const select = h("select", { id: "theme", "aria-label": "Colours", change: () => {
    localStorage.setItem(KEY, select.value);
    dispatchEvent(new Event("themechosen"));
    changed();
  } }, [["", "System colours"], ["light", "Light"], ["dark", "Dark"]].map(([value, label]) => h("option", { value }, label)));
  select.value = chosen;
  return select;
}
