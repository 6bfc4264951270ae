/** The last saved version as a static page, in a frame that runs nothing. */

/** No scripts, no forms, no leading the page away: a link opens a tab of its own. */
const SANDBOX = 'allow-popups allow-popups-to-escape-sandbox';

/**
 * Make a frame of a page that the service rendered and sanitised: its text (`srcdoc`), or the address (`src`) at which the
 * host's own backend hands it on.
 */
export function previewOf(document: Document, title: string, page: { srcdoc: string } | { src: string }): HTMLIFrameElement {
  const frame = Object.assign(document.createElement('iframe'), { className: 'inset-preview', title, width: '100%', height: '100%' });
  // The origin lets *us* look where the reader has scrolled to; without scripts nothing inside can use it (decision 19).
  frame.setAttribute('sandbox', 'srcdoc' in page ? `${SANDBOX} allow-same-origin` : SANDBOX);
  return Object.assign(frame, page);
}

/** The index of the first cell that can be seen, or -1 where that can't be told. */
export function topCell(frame: HTMLIFrameElement): number {
  const cells = [...(frame.contentDocument?.querySelectorAll('.nb-cell') ?? [])];
  return cells.findIndex((cell) => cell.getBoundingClientRect().bottom > 8);
}
