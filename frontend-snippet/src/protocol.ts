/**
 * What the host's page (the SDK) and the notebook's frame (the page extension) say to each other.
 *
 * Both sides are compiled from this file. The window carries the handshake only: the frame says
 * `hello` (or its entry page says `entry-failed`), the page answers `connect` with a `MessagePort`,
 * and everything else goes through that port. A frame that was reloaded says hello again and is
 * given a new port.
 */

export const PROTOCOL = 'notebook-embed/1';

/** The only version of the protocol so far; `hello` carries the range the frame can speak. */
export const VERSION = 1;

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
  /** Holds `save` where the page shows a notebook, and so will report `ready`. */
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
  request?: string;
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

/** Everything a frame may say through the window. */
export type WindowMessage = EntryFailed | Hello;
/** Everything a frame may say through the port. */
export type FrameMessage = Ready | Dirty | Saved | SaveFailed | Pong | Expiring;
/** Everything the page may say through the port. */
export type PageMessage = Save | Ping | Renew;

/** The parts of a message a sender writes himself: all but the tag. */
export type Untagged<M> = M extends Tagged ? Omit<M, 'protocol'> : never;

/** What is known of what a page said; it bound nobody if it said nothing. */
export function toCapabilities(may: readonly string[] | undefined): Capability[] {
  return CAPABILITIES.filter((one) => may?.includes(one) ?? true);
}

/** Put the protocol's tag on a message. */
export function tag<M extends object>(message: M): M & Tagged {
  return { protocol: PROTOCOL, ...message };
}

export function isWindowMessage(data: unknown): data is WindowMessage {
  if (!isTagged(data)) return false;
  switch (data.type) {
    case 'entry-failed':
      return (ENTRY_FAILURES as readonly unknown[]).includes(data.reason);
    case 'hello':
      return (
        isCount(data.min) &&
        isCount(data.max) &&
        isText(data.document) &&
        isTexts(data.capabilities)
      );
    default:
      return false;
  }
}

export function isConnect(data: unknown): data is Connect {
  return isTagged(data) && data.type === 'connect' && data.version === VERSION;
}

export function isFrameMessage(data: unknown): data is FrameMessage {
  if (!isTagged(data)) return false;
  switch (data.type) {
    case 'ready':
      return (
        isText(data.path) &&
        isFlag(data.dirty) &&
        (COOKIE_MODES as readonly unknown[]).includes(data.mode) &&
        (data.may === undefined || isTexts(data.may))
      );
    case 'dirty':
      return isFlag(data.dirty);
    case 'saved':
      return (
        isCount(data.version) &&
        isText(data.sha256) &&
        (data.origin === 'save' || data.origin === 'autosave') &&
        isOptionalText(data.receipt) &&
        isOptionalText(data.request)
      );
    case 'save-failed':
      return isText(data.code) && isText(data.message) && isOptionalText(data.request);
    case 'pong':
      return isText(data.request);
    case 'expiring':
      return true;
    default:
      return false;
  }
}

export function isPageMessage(data: unknown): data is PageMessage {
  if (!isTagged(data)) return false;
  return data.type === 'renew' ? isText(data.ticket) : (data.type === 'save' || data.type === 'ping') && isText(data.request);
}

type Fields = Record<string, unknown>;

function isTagged(data: unknown): data is Fields {
  return typeof data === 'object' && data !== null && (data as Fields).protocol === PROTOCOL;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
