/** Set a live Jupyter notebook into a page. */
export { embedNotebook } from './embed.js';
export { EmbedError } from './errors.js';
export type { EmbedErrorCode } from './errors.js';
export type { AnyEvent, CommandResults, EmbedEvents, EmbedOptions, EventOptions, NotebookEmbed, SavedVersion, Timeouts } from './api.js';
export type { Messages } from './messages.js';
export type { Phase } from './progress.js';
export type { Capability, Colors, Command, CommandValues, CookieMode, NewCell, Part } from './protocol.js';
export type { SaveState } from './save-state.js';
