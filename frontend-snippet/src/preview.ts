/** The last saved version as a static page, in a frame that runs nothing. */

/** No scripts, no forms, no leading the page away: a link opens a tab of its own. */
const SANDBOX = 'allow-popups allow-popups-to-escape-sandbox';

/** Make the frame of a page that the service rendered and sanitised. */
export function previewOf(html: string, document: Document, { title, nonce }: { title: string; nonce: string | undefined }): HTMLIFrameElement {
  // The origin lets *us* look where the reader has scrolled to; without scripts nothing inside can use it (decision 19).
  const frame = emptyFrame(document, title, ' allow-same-origin');
  // The page's own policy goes with it. The host's applies as well: its nonce lets our one style sheet through.
  frame.srcdoc = nonce ? html.replace('<style>', `<style nonce="${nonce}">`) : html;
  return frame;
}

/** Make the frame of a page that the host's own backend hands on. */
export function previewAt(url: string, document: Document, title: string): HTMLIFrameElement {
  const frame = emptyFrame(document, title);
  frame.src = url;
  return frame;
}

/** The index of the first cell that can be seen, if that can be told. */
export function topCell(frame: HTMLIFrameElement): number | undefined {
  const cells = [...(frame.contentDocument?.querySelectorAll('.nb-cell') ?? [])];
  const index = cells.findIndex((cell) => cell.getBoundingClientRect().bottom > 8);
  return index < 0 ? undefined : index;
}

function emptyFrame(document: Document, title: string, more = ''): HTMLIFrameElement {
  const frame = Object.assign(document.createElement('iframe'), { className: 'inset-preview', title, width: '100%', height: '100%' });
  frame.setAttribute('sandbox', SANDBOX + more);
  return frame;
}
