/** Tells how high the frame has to be to show all of a notebook, whatever its height is now. */
import type { NotebookPanel } from '@jupyterlab/notebook';

/** Room below, so that no rounding makes a scroll bar. */
const BELOW = 4;

/**
 * Scrolled past the end there would be room for a screen more: as high as the frame, which would follow it for ever. And a
 * cell below the window counts with its own height, which the browser would only guess until somebody scrolls there.
 */
const STYLE = `
.jp-Notebook::after, .jp-Notebook .jp-WindowedPanel-outer::after { display: none !important }
.jp-Notebook .jp-Cell { content-visibility: visible !important }`;

/** Report now, and at every change until the returned function is called. */
export function watchHeight({ content, node }: NotebookPanel, report: (height: number) => void): () => void {
  const style = document.head.appendChild(document.createElement('style'));
  style.textContent = STYLE;
  let told = 0;
  const look = () => {
    const height = needed(content.node, content.widgets.map((cell) => cell.node));
    // A pixel more or less is how browsers round.
    if (height === undefined || Math.abs(height - told) < 2) return;
    told = height;
    report(height);
  };
  const resized = new ResizeObserver(look);
  const cells = () => {
    resized.disconnect();
    for (const one of [node, ...content.widgets.map((cell) => cell.node)]) resized.observe(one);
    look();
  };
  content.model?.cells.changed.connect(cells);
  cells();
  return () => {
    content.model?.cells.changed.disconnect(cells);
    resized.disconnect();
    style.remove();
  };
}

/**
 * What stands above the cells, the cells, and what stands below: measured at the cells themselves, since what they scroll
 * in is as high as the frame.
 */
function needed(notebook: HTMLElement, cells: HTMLElement[]): number | undefined {
  const scroller = notebook.querySelector('.jp-WindowedPanel-outer') ?? notebook;
  const [first, last] = [cells[0], cells.filter((cell) => cell.isConnected && cell.offsetHeight > 0).at(-1)];
  if (!first?.isConnected || !last) return undefined;
  const footer = notebook.querySelector<HTMLElement>('.jp-Notebook-footer');
  const end = footer?.offsetHeight ? footer : last;
  const around = document.documentElement.clientHeight - scroller.clientHeight;
  const above = first.getBoundingClientRect().top - scroller.getBoundingClientRect().top + scroller.scrollTop;
  const inside = end.getBoundingClientRect().bottom - first.getBoundingClientRect().top;
  return Math.ceil(around + above + inside + BELOW);
}
