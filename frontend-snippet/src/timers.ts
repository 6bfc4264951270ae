/** Waiting that ends with a signal. */
import { EmbedError } from './errors.js';

/** Wait; rejects with the signal's reason when it is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
}

/** How long to wait before try number `n` (from 0): doubling, bounded, spread so that pages don't return as one. */
export function backoff(n: number): number {
  return Math.min(15_000, 500 * 2 ** n) * (0.5 + Math.random() / 2);
}

/** Wait for a promise, but not for ever. Rejects with `timeout`, or with the signal's reason. */
export async function within<T>(ms: number, promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const done = new AbortController();
  try {
    return await Promise.race([promise, sleep(ms, AbortSignal.any([signal, done.signal])).then(() => Promise.reject(new EmbedError('timeout')))]);
  } finally {
    done.abort();
  }
}
