/** Scrolls to a cell, and keeps it there until the notebook around it has come to rest. */
import type { Cell, Notebook } from '@jupyterlab/notebook';

/** How far from the top the cell may be, in pixels: what Notebook's page leaves above it, and a little more. */
const NEAR = 24;
/** How many cells may be made before others, at most. */
const AT_ONCE = 12;
/** How many looks in a row must find it there before it counts as shown. */
const STEADY = 2;
/** How long the notebook must have stayed as it is to be at rest, and how long that is waited for, in milliseconds. */
const REST = 1000;
const PATIENCE = 10_000;
/** When Jupyter is asked again to scroll, though it has not answered, in milliseconds. */
const ANSWERED = 500;

/** What a user does who wants to be elsewhere. */
const BY_HAND = ['wheel', 'pointerdown', 'keydown', 'touchstart'];

/**
 * Scroll until the cell is at the top, or as near as the notebook's end lets it. One call does not do: cells that were
 * never painted have a guessed height, so that all below them move when they are, and what else Jupyter scrolls to while
 * it opens a notebook calls ours off. Whoever waits is answered when the cell is shown; it is held there a while longer.
 */
export async function goTo({ content }: { content: Notebook }, index: number): Promise<void> {
  const cell = content.widgets[index];
  if (!cell) throw new Error('There is no such cell.');
  // This one browsers keep in its place, whatever grows above it.
  content.activeCellIndex = index;
  bringForward(content, index);
  await new Promise<void>((resolve) => { void hold(content, index, cell, resolve); });
}

/** Make the cell and what is seen below it at once: by itself Jupyter comes to them when it has made all above. */
function bringForward({ layout, node, notebookConfig, widgets }: Notebook, index: number): void {
  if (notebookConfig.windowingMode === 'full') return;
  let below = 0;
  for (let at = index; at < Math.min(index + AT_ONCE, widgets.length) && below < node.clientHeight; at++) {
    const cell = widgets[at] as Cell;
    if (cell.isPlaceholder()) {
      // What Jupyter does itself, and finds its place by.
      cell.dataset.windowedListIndex = String(at);
      layout.insertWidget(at, cell);
    }
    below += cell.node.offsetHeight;
  }
}

async function hold(content: Notebook, index: number, cell: Cell, shown: () => void): Promise<void> {
  const taken = new AbortController();
  for (const event of BY_HAND) content.node.addEventListener(event, () => { taken.abort(); }, { signal: taken.signal, capture: true });
  const began = performance.now();
  let moved = began;
  let free = 0;
  for (let steady = 0; !taken.signal.aborted && content.activeCellIndex === index; ) {
    const now = performance.now();
    if (isThere(content, cell.node)) {
      if (++steady === STEADY) shown();
    } else {
      steady = 0;
      moved = now;
      if (now >= free) {
        free = now + ANSWERED;
        // Rejected where another scroll comes first: the next look finds out.
        void content.scrollToItem(index, 'start', 0).catch(() => undefined).then(() => { free = 0; });
      }
    }
    if (now - began > PATIENCE || now - moved > REST) break;
    await painted();
  }
  taken.abort();
  shown();
}

function isThere(content: Notebook, cell: HTMLElement): boolean {
  const scroller = content.node.querySelector('.jp-WindowedPanel-outer') ?? content.node;
  // One that is not in the page yet has no place.
  if (!cell.isConnected || cell.offsetHeight === 0) return false;
  const away = cell.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
  const atEnd = scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - NEAR;
  return Math.abs(away) <= NEAR || (away > 0 && atEnd);
}

/** Wait until what was changed is on the screen; a hidden page paints nothing, and is not waited for. */
async function painted(): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, 500);
    requestAnimationFrame(() => requestAnimationFrame(() => { resolve(); }));
  });
}
