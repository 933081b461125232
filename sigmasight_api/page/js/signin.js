// Who is signed in: a token, kept for this tab, or on this device if its owner says so.

import { Api, Problem } from "./api.js";
import { announce, h } from "./dom.js";

// One of each page: who operates may own a portfolio too, under another token.
const key = document.body.dataset.tokens;

/** The token that was entered before, or null. */
export function rememberedToken() {
  return sessionStorage.getItem(key) ?? localStorage.getItem(key);
}

/** Forget the token, here and on the device. */
export function forgetToken() {
  sessionStorage.removeItem(key);
  localStorage.removeItem(key);
}

/** Forget the token and begin anew: nothing that was shown stays in the page. */
export function signOut() {
  forgetToken();
  location.replace(location.pathname);
}

/** Call `left` once the token is forgotten in another tab. */
export function onForgotten(left) {
  addEventListener("storage", (event) => {
    if (event.key === key && event.newValue === null) left();
  });
}

function remember(token, isKept) {
  forgetToken();
  (isKept ? localStorage : sessionStorage).setItem(key, token);
}

/**
 * Show the form in `main` until a token is taken, then give it on. `check` asks the API for something that the page
 * needs; its `Problem` is shown. `lead` says what this page is, `said` why the form is shown again.
 */
export function signIn(main, { lead, command, check, said = null }) {
  return new Promise((resolve) => {
    const trouble = h("p", { class: "notice notice-error", id: "signin-trouble", role: "alert", hidden: !said }, said);
    const field = h("input", {
      id: "token", name: "token", type: "password", required: true, autocomplete: "current-password",
      autocapitalize: "off", spellcheck: "false", "aria-describedby": "token-help signin-trouble",
    });
    const kept = h("input", { id: "kept", name: "kept", type: "checkbox" });
    const button = h("button", { class: "primary", type: "submit" }, "Sign in");
    const entered = async (event) => {
      event.preventDefault();
      const token = field.value.trim();
      button.disabled = true;
      trouble.hidden = true;
      try {
        const document = await check(new Api(token));
        remember(token, kept.checked);
        announce("Signed in");
        // The form goes away, and with it what had the focus.
        main.focus();
        resolve({ token, document });
      } catch (error) {
        trouble.textContent = refusal(error);
        trouble.hidden = false;
        field.setAttribute("aria-invalid", "true");
        field.focus();
        field.select();
      } finally {
        button.disabled = false;
      }
    };
    main.replaceChildren(h("section", { class: "signin", "aria-labelledby": "signin-title" },
      h("h1", { id: "signin-title" }, lead),
      h("form", { submit: entered },
        h("label", { for: "token" }, "API token"), field,
        h("p", { class: "hint", id: "token-help" }, "It begins with sgm_ and was shown once, when it was made. Whoever runs SigmaSight makes one with ",
          h("code", null, command), "."),
        h("label", { class: "check" }, kept, "Stay signed in on this device"),
        trouble, button)));
    main.setAttribute("aria-busy", "false");
    field.focus();
  });
}

function refusal(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) return "This token is not known here, has expired, or was revoked. Check that it is complete.";
  if (error.status === 403) return "This token is an owner's. This page is for operators: it takes an admin's token.";
  return error.detail;
}
