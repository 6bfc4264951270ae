/** Every word that the SDK shows, in English; `messages` among the options replaces any of them. */
export const MESSAGES = {
  label: 'Opening the notebook',
  queued: 'Waiting for a free place',
  position: 'Waiting for a free place: number {n}',
  // Behind the position, where it is known how long that takes.
  wait: ', about {minutes} min',
  starting: 'Starting the notebook server',
  // In their place, while it waits for something else first.
  image: 'Downloading the notebook server',
  hub: 'The notebook server does not answer yet',
  restoring: 'Loading the notebook',
  connecting: 'Connecting to the notebook',
  closing: 'Saving and closing the notebook',
  preview: 'Last saved version',
  cancel: 'Cancel',
  retry: 'Retry',
  open: 'Open again',
  failed: 'The notebook can’t be shown',
  cancelled: 'The notebook was not opened',
  closed: 'The notebook was closed',
  revoked: 'Access to this notebook was withdrawn',
  saved: 'Saved',
  unsaved: 'Unsaved changes',
  saving: 'Saving…',
  offline: 'Offline: changes are kept and saved later',
  conflict: 'Changed in two places: both are kept',
  saveFailed: 'Not saved',
  // What to do about a failure, by its code.
  'next:cookies-blocked': 'Allow cookies for this page.',
  'next:': 'If retrying does not help, tell your support: {code}',
};

/** `next:<code>` can be given for any error's code, and so can the code itself, for what it says. */
export type Messages = Partial<Record<keyof typeof MESSAGES, string>> & Record<string, string>;

/** Look a message up, with its parts filled in; empty if there is none. */
export type Say = (key: string, parts?: Record<string, unknown>) => string;

export function toSay(messages: Messages | undefined): Say {
  const all: Record<string, string | undefined> = { ...MESSAGES, ...messages };
  return (key, parts = {}) => (all[key] ?? '').replace(/\{(\w+)\}/g, (_, name: string) => parts[name] as string);
}
