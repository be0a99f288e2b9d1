// The parts of CodeMirror that src/imagesmith/web/static/editor.js puts together.
export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
export { bracketMatching, indentOnInput, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
export { shell } from "@codemirror/legacy-modes/mode/shell";
export { yaml } from "@codemirror/legacy-modes/mode/yaml";
export { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
export { EditorState } from "@codemirror/state";
export { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
export { classHighlighter } from "@lezer/highlight";
