/** Saves before the user is gone: to another window, another route, another page. */

export interface Leaving {
  /** Begin to save; undefined if there is nothing to. */
  flush: () => Promise<unknown> | undefined;
  /** Whether the browser asks before a page with unsaved edits is left. */
  confirm: boolean;
}

/** Watch until the signal ends it. */
export function onLeave(signal: AbortSignal, { flush, confirm }: Leaving): void {
  // Whoever clicks beside the frame may be about to follow a link there: the save has a head start.
  window.addEventListener('focus', () => { void flush(); }, { signal });
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'hidden') void flush(); }, { signal });
  window.addEventListener('beforeunload', (event) => { if (flush() && confirm) event.preventDefault(); }, { signal });
}
