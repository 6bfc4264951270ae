/** What the mount point shows: progress, the frame, or what went wrong. Looks come from the style sheet. */

export interface Notice {
  title: string;
  message: string;
  button: string;
  press: () => void;
}

export class View {
  readonly document: Document;
  readonly #root: HTMLElement;
  #panel: HTMLElement | undefined;
  #frame: HTMLElement | undefined;

  constructor(mountPoint: HTMLElement) {
    this.document = mountPoint.ownerDocument;
    this.#root = this.#element('div', 'inset-notebook');
    mountPoint.append(this.#root);
  }

  /** Show how far the opening is. The panel is updated in place, so that screen readers tell what changed. */
  progress(percent: number, message: string): void {
    let bar = this.#panel?.querySelector<HTMLProgressElement>('progress');
    if (!bar) {
      bar = this.#element('progress', 'inset-bar');
      bar.max = 100;
      bar.setAttribute('aria-label', 'Opening the notebook');
      this.#setPanel('inset-progress', 'status', this.#element('p', 'inset-message'), bar);
    }
    bar.value = percent;
    const line = this.#panel?.querySelector('p');
    if (line && line.textContent !== message) line.textContent = message;
  }

  /** Put the frame in, below the progress until `uncover()`. */
  show(frame: HTMLElement): void {
    this.#frame?.remove();
    this.#frame = frame;
    this.#root.append(frame);
  }

  uncover(): void {
    this.#setPanel();
  }

  /** Say what happened, in the frame's place, with the one thing that can be done about it. */
  notice({ title, message, button, press }: Notice): void {
    this.#frame?.remove();
    this.#frame = undefined;
    const heading = this.#element('p', 'inset-title', title);
    const text = this.#element('p', 'inset-message', message);
    const control = this.#element('button', 'inset-button', button);
    control.type = 'button';
    control.addEventListener('click', press, { once: true });
    this.#setPanel('inset-notice', 'alert', heading, text, control);
  }

  remove(): void {
    this.#root.remove();
  }

  #setPanel(className?: string, role = '', ...children: HTMLElement[]): void {
    this.#panel?.remove();
    this.#panel = undefined;
    if (!className) return;
    this.#panel = this.#element('div', `inset-panel ${className}`);
    this.#panel.setAttribute('role', role);
    this.#panel.append(...children);
    this.#root.prepend(this.#panel);
  }

  #element<K extends keyof HTMLElementTagNameMap>(name: K, className: string, text = ''): HTMLElementTagNameMap[K] {
    const element = this.document.createElement(name);
    element.className = className;
    element.textContent = text;
    return element;
  }
}
