/** Keeps an open page let in: asks for a ticket in time, and trades it without a reload. */

/** At which part of its life a way in is renewed, and how much of it passes before it is asked for again. */
const DUE = 0.8;
const AGAIN = 0.05;
const AGAIN_AT_LEAST = 2000;
/** The longest time that a timer can wait. */
const LONGEST = 2 ** 31 - 1;

export class Renewal {
  readonly #ask: () => void;
  readonly #trade: (ticket: string) => Promise<number>;
  #lifetime = 0;
  #timer: number | undefined;

  /** `trade` gives the seconds that a ticket was good for. */
  constructor(ask: () => void, trade: (ticket: string) => Promise<number>) {
    this.#ask = ask;
    this.#trade = trade;
  }

  /** Begin to count: the way in ends after so many seconds. */
  endsIn(seconds: number): void {
    this.#lifetime = 1000 * seconds;
    this.#askIn(DUE * this.#lifetime);
  }

  async take(ticket: string): Promise<void> {
    try {
      this.endsIn(await this.#trade(ticket));
    } catch {
      // Asked for again by the timer that runs.
    }
  }

  #askIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#askIn(Math.max(AGAIN * this.#lifetime, AGAIN_AT_LEAST));
      this.#ask();
    }, Math.min(milliseconds, LONGEST));
  }
}
