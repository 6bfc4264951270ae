/** How far an opening is, by how long its phases took in this browser before. */

export const PHASES = ['queued', 'starting', 'restoring', 'connecting'] as const;

/** What the opening waits for: a place, the server, the document in it, the frame. */
export type Phase = (typeof PHASES)[number];

/** How long each takes where nothing has been learnt yet, in milliseconds. */
const GUESS = [500, 8000, 1000, 4000];
/** How much a start counts against those before. */
const WEIGHT = 0.4;

export class Progress {
  readonly #key: string;
  readonly #usual: readonly number[];
  readonly #learnt: number[];
  #at = 0;
  #since = Date.now();
  #percent = 0;

  /** What is learnt is kept for each service. */
  constructor(serviceUrl: string) {
    this.#key = `inset-notebook:starts:${serviceUrl}`;
    this.#usual = read(this.#key);
    this.#learnt = [...this.#usual];
  }

  get stage(): Phase {
    return PHASES[this.#at] as Phase;
  }

  /** Never goes back, and never arrives by itself. */
  get far(): number {
    let passed = 0;
    let all = 0;
    this.#usual.forEach((usual, n) => {
      if (n === this.#at) passed = all + usual * (1 - Math.exp((-1.5 * (Date.now() - this.#since)) / usual));
      all += usual;
    });
    return (this.#percent = Math.max(this.#percent, Math.floor((100 * passed) / all)));
  }

  /** Go on to a later phase; earlier ones are over for good, and what is none changes nothing. */
  enter(phase: string | undefined): void {
    const next = PHASES.indexOf(phase as Phase);
    if (next > this.#at) this.#pass(next);
  }

  /** The notebook is there: learn from it. */
  arrived(): void {
    this.#pass(PHASES.length);
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.#learnt));
    } catch {
      // A page without storage learns nothing.
    }
  }

  #pass(next: number): void {
    const usual = this.#usual[this.#at] ?? 0;
    // A phase takes a moment at least: nothing is divided by nothing.
    this.#learnt[this.#at] = Math.max(50, Math.round(usual + WEIGHT * (Date.now() - this.#since - usual)));
    this.#at = next;
    this.#since = Date.now();
  }
}

function read(key: string): number[] {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? '') as number[];
    if (kept.length === GUESS.length && kept.every((ms) => ms > 0)) return kept;
  } catch {
    // Nothing is kept, or nothing of ours.
  }
  return GUESS;
}
