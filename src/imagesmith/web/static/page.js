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
  // What was swapped in is where a reader with a keyboard goes on.
  document.addEventListener("htmx:afterSwap", (event) => {
    // What a server-sent event brought has no target.
    const target = event.detail.target;
    if (!target) return;
    if (target.matches("dialog:not([open])")) target.showModal();
    if (target.id !== "main") return;
    (document.querySelector("#main [role=alert]") ?? document.getElementById("main")).focus();
  });
  // Leaving a dialog is not leaving the page.
  document.addEventListener("click", (event) => {
    const dialog = event.target.closest?.("[data-close]")?.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });
})();
