/** Timers that end with a signal. */

/** Call back once unless cancelled or aborted before. Returns the cancelling. */
export function after(ms: number, signal: AbortSignal, callback: () => void, aborted?: () => void): () => void {
  const cancel = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  };
  const abort = () => {
    cancel();
    aborted?.();
  };
  const timer = setTimeout(() => {
    cancel();
    callback();
  }, ms);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort);
  return cancel;
}

/** Wait; rejects with the signal's reason when it is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => { after(ms, signal, resolve, () => { reject(signal.reason as Error); }); });
}

/** How long to wait before try number `n` (from 0): doubling, bounded, spread so that pages don't return as one. */
export function backoff(n: number): number {
  return Math.min(15_000, 500 * 2 ** n) * (0.5 + Math.random() / 2);
}

/** Wait for a promise, but not for ever. */
export async function within<T>(ms: number, promise: Promise<T>, late: Error, signal: AbortSignal): Promise<T> {
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  try {
    return await Promise.race([promise, sleep(ms, either).then(() => Promise.reject(late))]);
  } finally {
    done.abort();
  }
}
