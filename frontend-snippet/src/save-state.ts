/** What has become of the user's edits, in one word. */

/**
 * `saved`: the database has everything. `unsaved`: edits wait for the next save. `saving`: one is under way. `offline`:
 * they can't be delivered now, are kept, and will be. `conflict`: both sides are kept, and somebody has to choose.
 * `failed`: the last save did not work.
 */
export type SaveState = 'saved' | 'unsaved' | 'saving' | 'offline' | 'conflict' | 'failed';

export interface Facts {
  dirty: boolean;
  /** A save is under way. */
  busy: boolean;
  /** Why the last save did not work. */
  trouble: 'offline' | 'conflict' | 'failed' | undefined;
}

export class SaveStates {
  readonly #report: (state: SaveState) => void;
  readonly #facts: Facts = { dirty: false, busy: false, trouble: undefined };
  #state: SaveState = 'saved';

  constructor(report: (state: SaveState) => void) {
    this.#report = report;
  }

  get state(): SaveState {
    return this.#state;
  }

  learn(news: Partial<Facts>): void {
    const { dirty, busy, trouble } = Object.assign(this.#facts, news);
    const state = busy ? 'saving' : (trouble ?? (!dirty ? 'saved' : navigator.onLine ? 'unsaved' : 'offline'));
    if (state === this.#state) return;
    this.#state = state;
    this.#report(state);
  }

  /** Learn of a save that failed with this code. */
  stumbled(code: string): void {
    // What a server can't deliver it keeps, and sends again by itself.
    const later = !navigator.onLine || code.startsWith('service-un');
    this.learn({ busy: false, trouble: code === 'conflict' ? 'conflict' : later ? 'offline' : 'failed' });
  }
}
