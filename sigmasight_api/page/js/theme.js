// Applies the chosen colours before anything is painted; without a choice the page follows the system.
(() => {
  const chosen = localStorage.getItem("sigmasight.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
