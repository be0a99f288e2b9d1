// Text areas marked `data-code` become editors; what is typed there is in the text area at once. And rows of parameters.
(() => {
  const modes = () => ({ shell: CodeMirror.shell, yaml: CodeMirror.yaml });

  const edit = (area) => {
    const { EditorState, EditorView } = CodeMirror;
    const frozen = area.readOnly;
    const label = document.querySelector(`label[for="${CSS.escape(area.id)}"]`)?.textContent ?? area.id;
    const described = area.getAttribute("aria-describedby");
    const attributes = { "aria-label": label, ...(described ? { "aria-describedby": described, "aria-invalid": "true" } : {}) };
    const view = new EditorView({
      doc: area.value,
      extensions: [
        EditorView.cspNonce.of(document.body.dataset.nonce),
        CodeMirror.lineNumbers(),
        CodeMirror.history(),
        CodeMirror.drawSelection(),
        CodeMirror.indentOnInput(),
        CodeMirror.bracketMatching(),
        CodeMirror.highlightActiveLine(),
        CodeMirror.highlightSelectionMatches(),
        CodeMirror.StreamLanguage.define(modes()[area.dataset.code]),
        CodeMirror.syntaxHighlighting(CodeMirror.classHighlighter),
        CodeMirror.keymap.of([
          ...CodeMirror.defaultKeymap,
          ...CodeMirror.historyKeymap,
          ...CodeMirror.searchKeymap,
          CodeMirror.indentWithTab,
        ]),
        EditorState.readOnly.of(frozen),
        EditorState.tabSize.of(4),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ ...attributes, ...(frozen ? { "aria-readonly": "true" } : {}) }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = view.state.doc.toString();
        }),
      ],
    });
    view.dom.classList.add("editor");
    area.hidden = true;
    area.after(view.dom);
  };

  // Rows are told apart by the number in their names; the last one is always empty.
  const more = (button) => {
    const rows = [...document.querySelectorAll("#parameters > .parameter")];
    const last = rows.at(-1);
    const [old] = last.querySelector("[name]").name.match(/^parameters\.\d+/);
    const now = `parameters.${Number(old.split(".")[1]) + 1}`;
    const row = last.cloneNode(true);
    for (const element of row.querySelectorAll("[name], [for], [id]")) {
      for (const attribute of ["name", "id", "for"]) {
        const value = element.getAttribute(attribute);
        if (value?.startsWith(`${old}.`)) element.setAttribute(attribute, now + value.slice(old.length));
      }
      element.removeAttribute("aria-invalid");
      if (element.type === "checkbox") element.checked = false;
      else if (element.matches("input, textarea")) element.value = "";
    }
    for (const told of row.querySelectorAll(".mistake")) told.remove();
    row.querySelector("legend").textContent = "Another parameter";
    last.after(row);
    row.querySelector("input:not([type=hidden])").focus();
  };

  const begin = (root) => {
    for (const area of root.querySelectorAll("textarea[data-code]")) {
      if (!area.hidden && window.CodeMirror) edit(area);
    }
    const button = root.querySelector("#more-parameters");
    if (button?.hidden) {
      button.hidden = false;
      button.addEventListener("click", () => more(button));
    }
  };
  // What is chosen from a cloud's list goes into the field it is for.
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest?.("[data-fills]");
    if (!chosen) return;
    const field = document.getElementById(chosen.dataset.fills);
    const kind = document.getElementById(chosen.dataset.fills.replace(/_id$/, ""));
    if (!field) return;
    if (kind) kind.value = "id";
    field.value = chosen.dataset.value;
    field.focus();
  });
  document.addEventListener("htmx:load", (event) => begin(event.detail.elt));
})();
