/** Saves before the user is gone: to another window, another route, another page. */

/**
 * Watch until the signal ends it. `flush` begins to save, and gives undefined if there is nothing to; with `confirm` the
 * browser asks before a page with unsaved edits is left.
 */
export function onLeave(signal: AbortSignal, flush: () => unknown, confirm: boolean): void {
  // Whoever clicks beside the frame may be about to follow a link there: the save has a head start.
  window.addEventListener('focus', flush, { signal });
  document.addEventListener('visibilitychange', () => { if (document.hidden) flush(); }, { signal });
  window.addEventListener('beforeunload', (event) => { if (flush() && confirm) event.preventDefault(); }, { signal });
}
