/**
 * What the host's page (the SDK) and the notebook's frame (the page extension) say to each other.
 *
 * Both sides are compiled from this file. The window carries the handshake only: the frame says
 * `hello` (or its entry page says `entry-failed`), the page answers `connect` with a `MessagePort`,
 * and everything else goes through that port. A frame that was reloaded says hello again and is
 * given a new port.
 */

export const PROTOCOL = 'notebook-embed/1';

/**
 * The versions that are spoken here. `hello` carries the frame's own range, the page answers with the newest that both
 * speak, and neither says what is younger than that. 2 brought `saving`, `command` and its answers, `kernel` and `executed`;
 * 3 brought `loaded`, `selection` and `height`.
 */
export const VERSIONS = { min: 1, max: 3 };

/** Choose what to speak with a side of this range; undefined if there is nothing in common. */
export function negotiate({ min, max }: { min: number; max: number }): number | undefined {
  const newest = Math.min(max, VERSIONS.max);
  return newest < Math.max(min, VERSIONS.min) ? undefined : newest;
}

const ENTRY_FAILURES = [
  'ticket-expired',
  'ticket-used',
  'ticket-invalid',
  'ticket-for-another-server',
  'session-over',
  'service-unavailable',
  'cookies-blocked',
] as const;

const COOKIE_MODES = ['partitioned', 'plain', 'cookieless'] as const;

/**
 * How the browser lets the frame stay signed in: by a cookie that counts on this host's pages alone, by an ordinary
 * one, or by none. Without cookies everything works but images and downloads from the notebook's folder.
 */
export type CookieMode = (typeof COOKIE_MODES)[number];

const CAPABILITIES = ['edit', 'run', 'download', 'terminals'] as const;

/** What a user may do in his notebook besides looking at it. The notebook's server holds him to it. */
export type Capability = (typeof CAPABILITIES)[number];

export const COMMANDS = [
  'go-to', 'run-all', 'interrupt', 'restart', 'read-only', 'theme', 'colors', 'hide', 'insert-cell', 'replace-cell', 'tell-height',
] as const;

/** What a page may ask of a notebook besides saving it. A frame names those that it knows among its capabilities. */
export type Command = (typeof COMMANDS)[number];

export const PARTS = ['menu', 'toolbar', 'cell-toolbar', 'header', 'status-bar'] as const;

/** What of the notebook's interface can be hidden. `header` is what stands above the menu: the notebook's title. */
export type Part = (typeof PARTS)[number];

export const COLORS = ['background', 'surface', 'text', 'border', 'accent'] as const;

/** The host's colours, as CSS says colours; those left out are the theme's. `surface` is what stands out: cells, toolbars. */
export type Colors = Partial<Record<(typeof COLORS)[number], string>>;

/** A cell to be made: before the cell with the index `at`, or at the end. */
export interface NewCell {
  /** What kind of cell. */
  kind: 'code' | 'markdown' | 'raw';
  /** Its text. */
  source: string;
  /** The index of the cell that it stands before. Default: at the end. */
  at?: number;
}

/** What a command needs to be told. */
export interface CommandValues {
  /** Scroll to the cell with this index; done when it can be seen. */
  'go-to': number;
  /** Run all cells; `command-failed` if one of them fails. */
  'run-all': undefined;
  /** Interrupt the kernel. */
  interrupt: undefined;
  /** Restart the kernel, without asking the user. */
  restart: undefined;
  /** For this page only; what the user may not do at all, his token says. */
  'read-only': boolean;
  /** Jupyter's own light or dark theme. */
  theme: 'light' | 'dark';
  /** For this page only, in place of those before; none for the theme's own. */
  colors: Colors;
  /** These, and no others; none for everything. */
  hide: readonly Part[];
  /** Gives the new cell's id. The user can undo it. */
  'insert-cell': NewCell;
  /** Put another text into the cell with this id, as if it was typed. */
  'replace-cell': { id: string; source: string };
  /** From now on, tell how high the notebook is. Part of `height: 'auto'`. */
  'tell-height': boolean;
}

/** Why the entry page could not let the user in. */
export type EntryFailure = (typeof ENTRY_FAILURES)[number];

interface Tagged {
  protocol: typeof PROTOCOL;
}

/** Frame to page, through the window: there will be no notebook at this URL. */
export interface EntryFailed extends Tagged {
  type: 'entry-failed';
  reason: EntryFailure;
}

/** Frame to page, through the window, repeated until connected. */
export interface Hello extends Tagged {
  type: 'hello';
  min: number;
  max: number;
  /** Holds `save` where the page shows a notebook, and so will report `ready`; and the commands that it knows. */
  capabilities: string[];
  /** Names the loaded page; a reload changes it. Not a secret. */
  document: string;
}

/** Page to frame, through the window, with a `MessagePort` transferred. */
export interface Connect extends Tagged {
  type: 'connect';
  version: number;
}

/** Frame to page, through the port: the notebook is open and can be saved. */
export interface Ready extends Tagged {
  type: 'ready';
  path: string;
  dirty: boolean;
  mode: CookieMode;
  /** What the user may do. Pages that are older than this say nothing, and words that are newer are to be ignored. */
  may?: string[];
}

/** Frame to page, through the port: unsaved edits appeared or went. */
export interface Dirty extends Tagged {
  type: 'dirty';
  dirty: boolean;
}

/** Frame to page, through the port: the database holds this version. Asked for if it names a request. */
export interface Saved extends Tagged {
  type: 'saved';
  version: number;
  sha256: string;
  origin: 'save' | 'autosave';
  /** The service's signed proof of that version. Pages that are older than this say nothing. */
  receipt?: string;
  /** Whether there are unsaved edits again. Pages that are older than this say it in a message that follows. */
  dirty?: boolean;
  request?: string;
}

/** Frame to page, through the port: Jupyter began to save; `saved` or `save-failed` follows. */
export interface Saving extends Tagged {
  type: 'saving';
}

/** Frame to page, through the port: a save did not reach the database. `not-allowed` if it never may. */
export interface SaveFailed extends Tagged {
  type: 'save-failed';
  code: string;
  message: string;
  request?: string;
}

/** Frame to page, through the port: the answer to a ping. */
export interface Pong extends Tagged {
  type: 'pong';
  request: string;
}

/** Frame to page, through the port: a command was obeyed. */
export interface Done extends Tagged {
  type: 'done';
  request: string;
  /** Of `insert-cell`: the cell's id. */
  result?: string;
}

/** Frame to page, through the port: a command was not obeyed. `not-allowed` if it never may be. */
export interface CommandFailed extends Tagged {
  type: 'command-failed';
  code: string;
  message: string;
  request: string;
}

/** Frame to page, through the port: the kernel is `idle`, `busy`, `starting`, `restarting`, `dead` and so on, as Jupyter calls it. */
export interface KernelState extends Tagged {
  type: 'kernel';
  state: string;
}

/** Frame to page, through the port: a cell ran. That it did, how long and whether it failed; never what it holds. */
export interface Executed extends Tagged {
  type: 'executed';
  cell: number;
  seconds: number;
  failed: boolean;
}

/**
 * Frame to page, through the port: the editor shows what the server's file holds by now. A version was restored, or a
 * conflict settled, and nothing of this page waits to be saved.
 */
export interface Loaded extends Tagged {
  type: 'loaded';
  dirty: boolean;
}

/** Frame to page, through the port: which cell is the active one, and how many are selected. Never what they hold. */
export interface Selection extends Tagged {
  type: 'selection';
  cell: number;
  selected: number;
}

/** Frame to page, through the port: how many pixels the frame needs to show all without scrolling. */
export interface Height extends Tagged {
  type: 'height';
  height: number;
}

/** Frame to page, through the port: the way in ends soon, or has ended, and a new ticket would keep it open. */
export interface Expiring extends Tagged {
  type: 'expiring';
}

/** Page to frame, through the port: save what the editor holds, now. */
export interface Save extends Tagged {
  type: 'save';
  request: string;
}

/** Page to frame, through the port: are you still there? */
export interface Ping extends Tagged {
  type: 'ping';
  request: string;
}

/** Page to frame, through the port: a ticket for the session that the frame shows, to go on with. */
export interface Renew extends Tagged {
  type: 'renew';
  ticket: string;
}

/** Page to frame, through the port: do this. */
export interface DoCommand extends Tagged {
  type: 'command';
  command: Command;
  value?: CommandValues[Command];
  request: string;
}

/** Everything a frame may say through the window. */
export type WindowMessage = EntryFailed | Hello;
/** Everything a frame may say through the port. */
export type FrameMessage =
  | Ready | Dirty | Saved | SaveFailed | Pong | Expiring
  | Saving | Done | CommandFailed | KernelState | Executed
  | Loaded | Selection | Height;
/** Everything the page may say through the port. */
export type PageMessage = Save | Ping | Renew | DoCommand;

/** In which version each message of a frame came that was not there from the first. */
const SINCE: Partial<Record<FrameMessage['type'], number>> = {
  saving: 2, done: 2, 'command-failed': 2, kernel: 2, executed: 2, loaded: 3, selection: 3, height: 3,
};

/** Whether a page that speaks this version knows of such messages of a frame. */
export function isKnownTo(version: number, type: FrameMessage['type']): boolean {
  return version >= (SINCE[type] ?? 1);
}

/** The parts of a message a sender writes himself: all but the tag. */
export type Untagged<M> = M extends Tagged ? Omit<M, 'protocol'> : never;

/** What is known of what a page said; it bound nobody if it said nothing. */
export function toCapabilities(may: readonly string[] | undefined): Capability[] {
  return CAPABILITIES.filter((one) => may?.includes(one) ?? true);
}

/** What a message says, without what it is. */
export function detailOf<M extends Tagged & { type: string }>({ protocol, type, ...detail }: M): Omit<M, 'protocol' | 'type'> {
  return detail;
}

/** Put the protocol's tag on a message. */
export function tag<M extends object>(message: M): M & Tagged {
  return { protocol: PROTOCOL, ...message };
}

export function isWindowMessage(data: unknown): data is WindowMessage {
  return fits(data, WINDOW_MESSAGES);
}

export function isConnect(data: unknown): data is Connect {
  return isTagged(data) && data.type === 'connect' && isCount(data.version) && negotiate({ min: data.version, max: data.version }) !== undefined;
}

type Check = (value: unknown) => boolean;

/** What each field of a message holds, whichever message it is in: a new one of another kind needs another name. */
const FIELDS: Record<string, Check> = {
  min: isCount,
  max: isCount,
  capabilities: isTexts,
  document: isText,
  reason: oneOf(ENTRY_FAILURES),
  path: isText,
  dirty: isFlag,
  mode: oneOf(COOKIE_MODES),
  may: isTexts,
  version: isCount,
  sha256: isText,
  origin: oneOf(['save', 'autosave']),
  receipt: isText,
  request: isText,
  code: isText,
  message: isText,
  result: isText,
  state: isText,
  cell: isCount,
  seconds: Number.isFinite,
  failed: isFlag,
  selected: isCount,
  height: isCount,
};

/** What each message through the window does not go without. */
const WINDOW_MESSAGES: Record<WindowMessage['type'], readonly string[]> = {
  hello: ['min', 'max', 'capabilities', 'document'],
  'entry-failed': ['reason'],
};

/** What each message of a frame does not go without. */
const FRAME_MESSAGES: Record<FrameMessage['type'], readonly string[]> = {
  ready: ['path', 'dirty', 'mode'],
  dirty: ['dirty'],
  loaded: ['dirty'],
  saving: [],
  saved: ['version', 'sha256', 'origin'],
  'save-failed': ['code', 'message'],
  pong: ['request'],
  expiring: [],
  done: ['request'],
  'command-failed': ['code', 'message', 'request'],
  kernel: ['state'],
  selection: ['cell', 'selected'],
  height: ['height'],
  executed: ['cell', 'seconds', 'failed'],
};

export function isFrameMessage(data: unknown): data is FrameMessage {
  return fits(data, FRAME_MESSAGES);
}

function fits(data: unknown, messages: Record<string, readonly string[]>): boolean {
  if (!isTagged(data) || !isText(data.type) || !Object.hasOwn(messages, data.type)) return false;
  const needed = messages[data.type];
  return Object.entries(FIELDS).every(([field, check]) => (data[field] === undefined ? !needed?.includes(field) : check(data[field])));
}

/** What each command has to be told, as far as its shape goes. */
const VALUES: Record<Command, Check> = {
  'go-to': isCount,
  'run-all': isNothing,
  interrupt: isNothing,
  restart: isNothing,
  'read-only': isFlag,
  theme: (value) => value === 'light' || value === 'dark',
  colors: (value) => isFields(value) && Object.entries(value).every(([name, color]) => oneOf(COLORS)(name) && isText(color)),
  hide: (value) => isTexts(value) && value.every(oneOf(PARTS)),
  'insert-cell': (value) => isFields(value) && oneOf(['code', 'markdown', 'raw'])(value.kind) && isText(value.source) && optional(isCount)(value.at),
  'replace-cell': (value) => isFields(value) && isText(value.id) && isText(value.source),
  'tell-height': isFlag,
};

/** Whether a command is told what it needs. What is not is answered, as the code `bad-value`. */
export function isValueOf(command: Command, value: unknown): boolean {
  return VALUES[command](value);
}

export function isPageMessage(data: unknown): data is PageMessage {
  if (!isTagged(data)) return false;
  switch (data.type) {
    case 'renew':
      return isText(data.ticket);
    case 'command':
      return (COMMANDS as readonly unknown[]).includes(data.command) && isText(data.request);
    case 'save':
    case 'ping':
      return isText(data.request);
    default:
      return false;
  }
}

type Fields = Record<string, unknown>;

function isFields(data: unknown): data is Fields {
  return typeof data === 'object' && data !== null;
}

function isNothing(value: unknown): boolean {
  return value === undefined;
}

function isTagged(data: unknown): data is Fields {
  return (data as Fields | null | undefined)?.protocol === PROTOCOL;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function optional(check: Check): Check {
  return (value) => value === undefined || check(value);
}

function oneOf(values: readonly unknown[]): Check {
  return (value) => values.includes(value);
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
