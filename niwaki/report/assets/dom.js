// Elements from plain descriptions. Text only ever becomes text nodes: nothing here reads markup.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** Create an HTML element; attributes that are null or false are left out. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Create an SVG element, likewise. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
}

/** Replace everything inside `parent`; children that are absent are left out. */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
}

/** Build what is in `parent` anew; whoever used one of its controls stays on it. */
export function keepFocus(parent, build) {
  const controls = () => [...parent.querySelectorAll("button, select")];
  const at = controls().indexOf(document.activeElement);
  build();
  if (at >= 0) controls()[at]?.focus();
}

/** Listen to one event and return the element, so that calls can be nested. */
export function on(element, event, listener) {
  element.addEventListener(event, listener);
  return element;
}

/** A path as text that may break after its separators. */
export function breakable(path) {
  return path.split(/(?<=[./_])/).flatMap((part, i) => (i === 0 ? [part] : [html("wbr"), part]));
}

/** A select of [value, label] options, or of {label, options} groups of them. */
export function select(label, options, value, listener) {
  const control = html("select", {}, ...options.map(optionOrGroup));
  control.value = value;
  on(control, "change", () => listener(control.value));
  return html("label", { class: "field" }, html("span", {}, label), control);
}

/** A button that is pressed or not. */
export function toggle(label, pressed, listener, attributes = {}) {
  const button = html(
    "button",
    { type: "button", class: "toggle", "aria-pressed": String(pressed), ...attributes },
    label,
  );
  return on(button, "click", () => listener(!pressed));
}

/** A button that copies `text`, and says so. */
export function copyButton(text, label = "Copy") {
  const button = html("button", { type: "button", class: "copy" }, label);
  return on(button, "click", async () => {
    button.textContent = (await copied(text)) ? "Copied" : "Select and copy by hand";
    setTimeout(() => (button.textContent = label), 1600);
  });
}

/** Call `draw(width)` now and whenever the width of `element` changes. */
export function onWidth(element, draw) {
  let last = 0;
  const redraw = () => {
    const width = Math.round(element.clientWidth);
    if (width > 0 && width !== last) draw((last = width));
  };
  new ResizeObserver(redraw).observe(element);
  redraw();
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

function present(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== "");
}

function optionOrGroup(entry) {
  if (Array.isArray(entry)) return html("option", { value: entry[0] }, entry[1]);
  return html("optgroup", { label: entry.label }, ...entry.options.map(optionOrGroup));
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed here: an old browser, or a page that is framed
  }
}
