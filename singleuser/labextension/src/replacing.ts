/**
 * A save names the bytes that it replaces. Jupyter asks for the file, sends the content, and asks once more: two pages that
 * save at once overwrite each other between these. The server compares and writes in one, and tells of the new bytes.
 */
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { insideOf } from './inside.js';

export function replaceWhatWasOpened(context: DocumentRegistry.IContext<DocumentRegistry.IModel>): void {
  const inside = insideOf(context);
  const askAndSave = inside._maybeSave?.bind(context);
  const contents = inside._manager?.contents;
  if (!askAndSave || !contents) return;
  inside._maybeSave = async (options) => {
    const hash = inside.contentsModel?.hash;
    const { path } = context;
    if (!hash || !inside._raiseConflict) return askAndSave(options);
    try {
      return await contents.save(path, { ...options, inset_replaces: hash });
    } catch (error) {
      if ((error as { response?: Response }).response?.status !== 412) throw error;
      return inside._raiseConflict(await contents.get(path, { content: false, hash: true }), options);
    }
  };
}
