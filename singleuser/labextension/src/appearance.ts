/** How the page looks inside another one: parts of it that are not shown, and the host's colours. */
import type { Widget } from '@lumino/widgets';
import type { Colors, Part } from '../../../frontend-snippet/src/protocol.js';
import { CommandError } from './cells.js';

/** Where the parts are, in Notebook and in JupyterLab. */
const PARTS: Record<Part, string> = {
  menu: '#menu-panel-wrapper, #menu-panel, #jp-MainMenu, #jp-menu-panel, #jp-top-panel',
  toolbar: '.jp-NotebookPanel-toolbar',
  'cell-toolbar': '.jp-cell-toolbar',
  header: '#top-panel-wrapper, #top-panel',
  'status-bar': '#jp-bottom-panel, #jp-main-statusbar',
};

/** The variables of JupyterLab's themes that each colour stands for. */
const VARIABLES: Record<keyof Colors, readonly string[]> = {
  background: ['--jp-layout-color0', '--jp-layout-color1', '--jp-cell-editor-active-background'],
  surface: ['--jp-layout-color2', '--jp-layout-color3', '--jp-cell-editor-background', '--jp-rendermime-table-row-background'],
  text: [
    '--jp-content-font-color0', '--jp-content-font-color1', '--jp-content-font-color2', '--jp-ui-font-color0', '--jp-ui-font-color1',
    '--jp-ui-font-color2', '--jp-mirror-editor-variable-color', '--jp-inverse-layout-color3',
  ],
  border: ['--jp-border-color0', '--jp-border-color1', '--jp-border-color2', '--jp-border-color3', '--jp-cell-editor-border-color'],
  accent: ['--jp-brand-color0', '--jp-brand-color1', '--jp-brand-color2', '--jp-accent-color1', '--jp-cell-editor-active-border-color'],
};

const hidden = style();
const colours = style();
/** Those of the shell's widgets that are hidden for the host, and not by Jupyter or the user. */
const taken = new Set<Widget>();

/** Hide these parts, and show those again that were hidden before. */
export function hide(shell: Widget, parts: readonly Part[]): void {
  const selectors = parts.map((part) => PARTS[part]);
  hidden.textContent = selectors.map((selector) => `${selector} { display: none !important }`).join('\n');
  // Jupyter lays its panels out by script, and keeps the place of one that it does not know to be hidden.
  for (const widget of taken) widget.setHidden(false);
  taken.clear();
  for (const widget of within(shell)) {
    if (widget.isHidden || !selectors.some((selector) => widget.node.matches(selector))) continue;
    widget.setHidden(true);
    taken.add(widget);
  }
}

function* within(widget: Widget): Generator<Widget> {
  for (const inner of widget.layout ?? []) {
    yield inner;
    yield* within(inner);
  }
}

/** Raises `bad-value`, with nothing changed. */
export function colour(colors: Colors): void {
  const rules = Object.entries(colors).map(([name, color]) => {
    if (!CSS.supports('color', color)) throw new CommandError('bad-value', `${name} is no colour.`);
    return VARIABLES[name as keyof Colors].map((variable) => `${variable}: ${color};`).join(' ');
  });
  colours.textContent = `body { ${rules.join(' ')} }`;
}

function style(): HTMLStyleElement {
  return document.head.appendChild(document.createElement('style'));
}
