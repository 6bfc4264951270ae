/** Tells when a page is back: from being offline, or from the machine's sleep. */

const LOOK_EVERY = 20_000;
/** Timers of hidden pages come once a minute; a gap beyond that was sleep. */
const SLEPT = 90_000;

/** Call back at each return, until the signal ends it. */
export function onWake(signal: AbortSignal, callback: () => void): void {
  let looked = Date.now();
  const timer = setInterval(() => {
    const gap = Date.now() - looked;
    looked = Date.now();
    if (gap > SLEPT) callback();
  }, LOOK_EVERY);
  signal.addEventListener('abort', () => { clearInterval(timer); });
  window.addEventListener('online', callback, { signal });
}
