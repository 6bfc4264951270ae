/** What the mount point shows: the last saved version, progress, the frame, or what went wrong. Looks come from the style sheet. */
import type { SaveState } from './save-state.js';

/** Pixels. */
interface Bounds {
  minHeight?: number;
  maxHeight?: number;
}

/** A button's words, and what it does. */
interface Control {
  text: string;
  press: () => void;
}

export class View {
  readonly owner: Document;
  /** The static page, while it is shown. */
  still: HTMLIFrameElement | undefined;
  readonly #root: HTMLElement;
  readonly #saveLine: HTMLElement;
  readonly #lineWanted: boolean;
  #panel: HTMLElement | undefined;
  #frame: HTMLElement | undefined;
  #aside: HTMLElement | undefined;

  /** Below the notebook stands a line that says what has become of the edits, unless it is not wanted. */
  constructor(mountPoint: HTMLElement, saveLine: boolean) {
    this.owner = mountPoint.ownerDocument;
    this.#root = this.#element('div', 'inset-notebook');
    this.#lineWanted = saveLine;
    this.#saveLine = this.#status('inset-save');
    this.#saveLine.hidden = true;
    this.#root.append(this.#saveLine);
    mountPoint.append(this.#root);
  }

  /** Show how far the opening is. The panel is updated in place, so that screen readers tell what changed, and only that. */
  advance(percent: number, message: string, label: string, cancel?: Control): void {
    let bar = this.#panel?.querySelector('progress');
    if (!bar) {
      bar = this.#element('progress', 'inset-bar');
      bar.max = 100;
      bar.setAttribute('aria-label', label);
      this.#setPanel('inset-progress', this.#status('inset-message'), bar, ...(cancel ? [this.#button('inset-cancel', cancel)] : []));
    }
    bar.value = percent;
    const line = bar.previousElementSibling;
    if (line && line.textContent !== message) line.textContent = message;
    if (!cancel) bar.nextElementSibling?.remove();
  }

  /** Show a static page until there is a notebook, and tell when it can be seen. */
  paint(preview: HTMLIFrameElement, seen: () => void): void {
    this.still?.remove();
    this.still = preview;
    // One that is answered with nothing never loads, and is never seen.
    preview.hidden = true;
    preview.addEventListener('load', () => {
      preview.hidden = false;
      this.#root.dataset.insetPreview = '';
      seen();
    });
    this.#root.prepend(preview);
  }

  /** Put the frame in, below what is shown until `uncover()`. */
  show(frame: HTMLElement): void {
    this.#frame?.remove();
    this.#frame = frame;
    this.#saveLine.before(frame);
  }

  uncover(): void {
    if (this.#frame) this.#frame.inert = false;
    this.#saveLine.hidden = !this.#lineWanted;
    this.#setPanel();
    this.still?.remove();
    this.still = undefined;
    delete this.#root.dataset.insetPreview;
  }

  tell(state: SaveState, message: string): void {
    this.#root.dataset.insetSave = state;
    this.#saveLine.textContent = message;
  }

  /** Say what happened, in the frame's place, with the one thing that can be done about it. */
  notice(title: string, said: readonly string[], button: Control): void {
    this.#frame?.remove();
    this.#frame = undefined;
    this.#saveLine.hidden = true;
    const lines = said.map((text) => this.#element('p', 'inset-message', text));
    this.#setPanel('inset-notice', this.#element('p', 'inset-title', title), ...lines, this.#button('inset-button', button));
    this.#panel?.setAttribute('role', 'alert');
  }

  /** Move out of the way, where the browser can without loading the frame anew: its last edits are still to be saved. */
  setAside(): void {
    this.#aside = this.#element('div', '');
    this.#aside.hidden = true;
    this.owner.body.append(this.#aside);
    try {
      (this.#aside as { moveBefore?: (node: Node, before: null) => void }).moveBefore?.(this.#root, null);
    } catch {
      // It stays where it is.
    }
  }

  /** Be as high as the notebook, within bounds; looks of the host's own may still say otherwise. */
  setHeight(needed: number, { minHeight = 0, maxHeight = Infinity }: Bounds): void {
    const all = needed + this.#saveLine.offsetHeight;
    this.#root.style.height = `${String(Math.min(maxHeight, Math.max(minHeight, all)))}px`;
  }

  /** Whether it is in the page: what is not has lost its frame. */
  get shown(): boolean {
    return this.#root.isConnected;
  }

  remove(): void {
    this.#root.remove();
    this.#aside?.remove();
  }

  #setPanel(className?: string, ...children: HTMLElement[]): void {
    this.#panel?.remove();
    this.#panel = undefined;
    if (!className) return;
    this.#panel = this.#element('div', `inset-panel ${className}`);
    this.#panel.append(...children);
    this.#root.prepend(this.#panel);
  }

  #button(className: string, { text, press }: Control): HTMLButtonElement {
    const button = this.#element('button', className, text);
    button.type = 'button';
    button.addEventListener('click', press, { once: true });
    return button;
  }

  /** A line whose changes screen readers tell. */
  #status(className: string): HTMLElement {
    const line = this.#element('p', className);
    line.setAttribute('role', 'status');
    return line;
  }

  #element<K extends keyof HTMLElementTagNameMap>(name: K, className: string, text = ''): HTMLElementTagNameMap[K] {
    const element = this.owner.createElement(name);
    element.className = className;
    element.textContent = text;
    return element;
  }
}
