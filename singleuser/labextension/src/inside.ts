/** What of JupyterLab's context no interface tells. */
import type { DocumentRegistry } from '@jupyterlab/docregistry';

export interface Inside {
  contentsModel: { hash?: string | null } | null;
  /** Saves, whoever asked for it. */
  _save?: () => Promise<void>;
  /** Saves what it is given, unless the file has changed; gives what the server says of the file. */
  _maybeSave?: (options: { content: unknown }) => Promise<object>;
  _manager?: {
    readonly contents: {
      get(path: string, options: object): Promise<object>;
      save(path: string, options: object): Promise<object>;
    };
  };
  /** What a save sends to the contents API. */
  _createSaveOptions?: () => object;
  /** Opens a dialog about a file that could not be saved or loaded. */
  _handleError?: (error: unknown, title: string) => Promise<void>;
  /** Asks whether to overwrite the file, which has changed on disk, or to lose what the page holds. */
  _raiseConflict?: (onDisk: object, options: { content: unknown }) => Promise<object>;
}

export function insideOf(context: DocumentRegistry.IContext<DocumentRegistry.IModel>): Inside {
  return context as unknown as Inside;
}
