/** Scrolls to a cell, and makes sure that it got there. */
import type { Notebook } from '@jupyterlab/notebook';

/** How far from the top the cell may be, in pixels. */
const NEAR = 8;
/** How many looks in a row must find it there, and how many are made at most. */
const STEADY = 3;
const LOOKS = 60;
const BETWEEN_LOOKS = 80;

/** What a user does who wants to be elsewhere. */
const BY_HAND = ['wheel', 'pointerdown', 'keydown', 'touchstart'];

/**
 * Scroll until the cell stays at the top, or as near as the notebook's end lets it. One call does not do: cells that were
 * never painted have a guessed height, so that all below them move when they are, and what else Jupyter scrolls to while
 * it opens a notebook calls ours off.
 */
export async function goTo({ content }: { content: Notebook }, index: number): Promise<void> {
  const cell = content.widgets[index];
  if (!cell) throw new Error('There is no such cell.');
  const taken = new AbortController();
  for (const event of BY_HAND) content.node.addEventListener(event, () => { taken.abort(); }, { signal: taken.signal, capture: true });
  content.activeCellIndex = index;
  for (let looks = 0, steady = 0; looks < LOOKS && steady < STEADY && !taken.signal.aborted; looks++) {
    if (isThere(content, cell.node)) steady++;
    else {
      steady = 0;
      // Rejected where another scroll comes first: the next look finds out.
      content.scrollToItem(index, 'start', 0).catch(() => undefined);
    }
    await painted();
  }
  taken.abort();
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
  await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS));
}
