/** The SDK as the host sees it: one function in, one handle out. */
import type { Messages } from './messages.js';
import type { Phase } from './progress.js';
import type { Capability, Command, CommandValues, CookieMode, Part } from './protocol.js';
import type { SaveState } from './save-state.js';

export interface EmbedOptions extends EventOptions {
  /** The element the notebook is shown in. It is given one child and otherwise left alone. */
  mountPoint: HTMLElement;
  /** The public address of the Inset service. */
  serviceUrl: string;
  /** The id that the service gave when the notebook was made. */
  notebookId: string;
  /**
   * Asks the host's backend for a short-lived token that names the user. Called when the first one is needed, when the
   * last is about to expire or is refused, and when the page is back from sleep or from being offline; never twice at a time.
   */
  fetchToken: () => Promise<string> | string;
  /** What the frame shows: the notebook alone, or JupyterLab around it. Default: `'notebook'`. */
  interface?: 'notebook' | 'lab';
  /** The frame's accessible name. Default: `'Notebook'`. */
  title?: string;
  /**
   * What is shown until the notebook is there, and where it can't be: the last saved version, as a static page. `false`
   * for nothing; an address where your own backend hands the page on from Inset. Default: `true`, the SDK asks Inset.
   */
  preview?: boolean | string;
  /** The nonce of the host's Content-Security-Policy, for the one style sheet inside the preview. */
  nonce?: string;
  /** Whether a line below the notebook says what has become of the edits. Default: `true`. */
  saveLine?: boolean;
  /** Whether the browser asks before the page is left with edits that are not saved yet. Default: `true`. */
  confirmLeave?: boolean;
  /** Parts of the notebook's interface that are not shown. Default: none. `command('hide', …)` changes it. */
  hide?: readonly Part[];
  /**
   * `'auto'`: as high as the notebook needs, in pixels between `minHeight` and `maxHeight`, beyond which it scrolls.
   * Default: the mount point's height.
   */
  height?: 'auto';
  /** In pixels, with `height: 'auto'`. Default: 0. */
  minHeight?: number;
  /** In pixels, with `height: 'auto'`. Default: without bound. */
  maxHeight?: number;
  /** Words in place of the English ones; `inset-notebook/languages` has some languages. */
  messages?: Messages;
  /** How long the SDK waits, in milliseconds, before it says that something did not work. */
  timeouts?: Partial<Timeouts>;
}

/** How long the SDK waits, in milliseconds. */
export interface Timeouts {
  /** For a frame to say that it is there, and then to open the notebook. Default: 45 000. */
  frame: number;
  /** For a save to be in the database. Default: 30 000. */
  save: number;
  /** For one answer of the service. Default: 30 000. */
  request: number;
  /** For one of `command()`. Default: 30 000. */
  command: number;
  /** For the last edits, when the notebook is left. Default: 5 000. */
  leave: number;
  /** For the session to be over after `close()`. Default: 60 000. */
  close: number;
}

/** What happens to an embedded notebook, and what is told about it. */
export interface EmbedEvents {
  /**
   * The session comes closer to being ready. While it waits for a place: its `position`, 1 is next, and for how many
   * seconds about it will, where that is known. `waitsFor`, while something else is waited for first: the `hub`, which
   * does not answer and is asked again, or the server's `image`, which is being fetched to where it will run.
   */
  progress: { phase: Phase; percent: number; message: string; position?: number | null | undefined; estimatedWait?: number | null | undefined; waitsFor?: string | null | undefined };
  /** The last saved version is on the screen, as a static page. */
  preview: Record<string, never>;
  /** The notebook is open, and can be saved if the user may `edit`. Comes again when its frame was reloaded. */
  ready: { sessionId: string; mode: CookieMode; may: readonly Capability[] };
  /** Edits that are not in the notebook's file yet appeared or went. */
  dirty: { dirty: boolean };
  /** What has become of the edits, in one word; `data-inset-save` has it as well. */
  saveState: { state: SaveState };
  /** A save that `save()` asked for has begun; `saved` or `saveFailed` follows. */
  saving: Record<string, never>;
  /** The database holds a new version, whoever saved it. Told once for each version. */
  saved: SavedVersion & { origin: string };
  /** A save did not reach the database. Jupyter's server keeps the content and keeps trying. */
  saveFailed: { code: string; message: string };
  /**
   * Someone else saved a newer version than the one that ours is based on; ours was kept on the side. Comes again when
   * more is saved there, with the newest version kept. The service takes the user's decision at the path `resolve`.
   */
  conflict: { baseVersion: number; currentVersion: number; keptVersion: number; resolve: string };
  /** The kernel is `idle`, `busy`, `restarting`, `dead` and so on, as Jupyter calls it. */
  kernel: { state: string };
  /** Which cell is the active one, by its index, and how many are selected. Never what they hold. */
  selection: { cell: number; selected: number };
  /** A cell ran: that it did, how long, and whether it failed. Never what it holds. */
  executed: { cell: number; seconds: number; failed: boolean };
  /** The notebook was renamed inside Jupyter. */
  renamed: { name: string };
  /** The session is being saved and closed: within so many seconds its edits are asked for, and the frame is cut. */
  ending: { reason: string; in: number };
  /** The session is over, for this reason: `closed`, `idle`, `expired`, `revoked` and so on. */
  ended: { reason: string };
  /** The notebook can't be shown (any longer). The mount point offers to try again. */
  failed: { code: string; message: string };
  /** Any of the events above, for who logs or hands on all of them: its name, and what is told about it. */
  event: AnyEvent;
}

/** One of the events, with its name. */
export interface AnyEvent {
  event: Exclude<keyof EmbedEvents, 'event'>;
  detail: object;
}

/** `onReady`, `onSaved` and so on: listeners handed over with the options. */
export type EventOptions = {
  [E in keyof EmbedEvents as `on${Capitalize<E>}`]?: (detail: EmbedEvents[E]) => void;
};

export interface SavedVersion {
  /** Its number in the notebook's history. */
  version: number;
  /** Of its content, as the database holds it. */
  sha256: string;
  /**
   * Of `save()`: the service's signed proof of this version, for your backend to verify and keep (`docs/receipts.md`).
   * Left out if nothing was sent, since the notebook is as it was loaded; `GET …/versions/{n}/receipt` gives any.
   */
  receipt?: string;
}

/** What a command gives: a new cell's id. */
export type CommandResults = { [C in Command]: C extends 'insert-cell' ? string : undefined };

export interface NotebookEmbed {
  /** Settles once: when the notebook is open, or with an `EmbedError` if it can't be. */
  readonly ready: Promise<void>;
  /** The session's id, from the moment the service has answered. */
  readonly sessionId: string | undefined;
  /** How the frame stays signed in, once it is ready. */
  readonly mode: CookieMode | undefined;
  /** What the user may do in the notebook, once it is ready. */
  readonly may: readonly Capability[] | undefined;
  /** What has become of the edits. */
  readonly saveState: SaveState;
  /** Give up opening the notebook: `failed` follows, with the code `cancelled`. Does nothing once it is open. */
  cancel(): void;
  /**
   * Have the notebook do something; settles when it is done.
   * Rejects with an `EmbedError`: `not-ready`, `not-supported`, `not-allowed`, `bad-value`, `no-such-cell`,
   * `read-only`, `command-failed` or `timeout`.
   */
  command<C extends Command>(command: C, ...value: CommandValues[C] extends undefined ? [] : [CommandValues[C]]): Promise<CommandResults[C]>;
  /**
   * Save what the editor holds and wait until the database has it.
   * Rejects with an `EmbedError`: `not-ready`, `not-allowed`, `timeout`, `save-failed` or `conflict`.
   */
  save(): Promise<SavedVersion>;
  /**
   * Make an old version the current one, as a new version, and show it. What was saved since is kept as the versions it is.
   * Rejects with an `EmbedError` whose code is the service's: `not-allowed`, `version-not-found` and so on.
   */
  restore(version: number): Promise<SavedVersion>;
  /** Listen to an event; what it returns ends that. */
  on<E extends keyof EmbedEvents>(event: E, listener: (detail: EmbedEvents[E]) => void): () => void;
  /** Save and end the session; settles when it has ended. */
  close(): Promise<void>;
  /** Save what is unsaved, for as long as `timeouts.leave`, then `destroy()`: for routers, before they take the page away. */
  leave(): Promise<void>;
  /**
   * Remove frame, timers, listeners and streams; safe to call twice. The session goes on.
   * The frame sends unsaved edits on its way out, as far as the browser lets it: `leave()` waits for them.
   */
  destroy(): void;
}
