// Light or dark, as chosen in Airflow, whose page this one is in. Runs before anything is painted.
(() => {
  const show = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // Storage that is forbidden: the system's own choice then holds.
    }
    for (const theme of ["light", "dark"]) document.documentElement.classList.toggle(theme, chosen === theme);
  };
  show();
  addEventListener("storage", (event) => event.key === "theme" && show());
})();
