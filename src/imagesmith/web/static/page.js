// What every page does beside htmx.
(() => {
  // Airflow shows us in a sandboxed frame, which may not lead the whole window elsewhere. A link of its own document may.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[target="_top"]');
    if (!link || window === window.top || event.ctrlKey || event.metaKey || event.shiftKey) return;
    try {
      const outside = window.top.document.createElement("a");
      outside.href = link.href;
      window.top.document.body.append(outside);
      event.preventDefault();
      outside.click();
      outside.remove();
    } catch {
      // In a frame of somebody else's the browser decides.
    }
  });
  // A refusal that does not bring the form along (a login that ended, a body too large) stands beside it, not in its place.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr } = event.detail;
    const trouble = document.getElementById("trouble");
    if (!trouble || target.id !== "main" || xhr.status < 400 || xhr.responseText.includes('id="editor"')) return;
    Object.assign(event.detail, { target: trouble, selectOverride: "#main > *", swapOverride: "innerHTML" });
  });
  document.addEventListener("htmx:sendError", () => {
    const trouble = document.getElementById("trouble");
    if (trouble) trouble.textContent = "Airflow can't be reached, so nothing was saved. What you typed is still here: try again.";
  });
  // What was swapped in is where a reader with a keyboard goes on.
  document.addEventListener("htmx:afterSwap", (event) => {
    // What a server-sent event brought has no target.
    const target = event.detail.target;
    if (!target) return;
    if (target.matches("dialog:not([open])")) target.showModal();
    if (target.id === "trouble") target.focus();
    if (target.id !== "main") return;
    (document.querySelector("#main [role=alert]:not(#trouble)") ?? document.getElementById("main")).focus();
  });
  // Leaving a dialog is not leaving the page.
  document.addEventListener("click", (event) => {
    const dialog = event.target.closest?.("[data-close]")?.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });
})();
