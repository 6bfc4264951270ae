/** The history panel: every version of the notebook, to look at, to compare, to download and to restore. */

import { differences } from './compare.js';
import { element } from './elements.js';
import { dateTime, size } from './format.js';
import { act, inset, showProblem } from './inset.js';
import { watchPanel } from './panels.js';

const ORIGINS = {
  save: 'Saved', autosave: 'Saved automatically', stop: 'Saved when the session ended',
  restore: 'Restored', api: 'Uploaded', import: 'Imported', merge: 'Merged',
};
const $ = (id) => document.getElementById(id);

/** Wire the panel up. `saveFirst` runs before a restore, so that no unsaved edit is lost. */
export function watchHistory(notebookId, { saveFirst, onRestored, onResolve }) {
  const path = `/v1/notebooks/${notebookId}`;
  let cursor = null;

  async function show({ older = false } = {}) {
    const [{ version: current }, page] = await Promise.all([
      inset(path),
      inset(`${path}/versions${older ? `?cursor=${encodeURIComponent(cursor)}` : ''}`),
    ]);
    cursor = page.next_cursor;
    const rows = page.items.map((version) => row(version, current));
    if (older) $('versions').append(...rows);
    else $('versions').replaceChildren(...rows);
    $('older').hidden = !cursor;
  }

  function row(version, current) {
    const { number, parent, created_at, origin, size: bytes, valid, aside } = version;
    const isCurrent = number === current;
    const name = element('strong', { textContent: `Version ${number}` });
    const meta = [dateTime(created_at), parent ? ORIGINS[origin] ?? origin : 'Created', size(bytes)];
    if (isCurrent) meta.unshift('Current');
    if (aside === 'open') meta.unshift('Not in the current version yet');
    if (!valid) meta.push('not a valid notebook');
    const buttons = [button('View', number, () => look(number))];
    if (!isCurrent) buttons.push(button('Compare', number, () => compare(number, current)));
    if (aside === 'open') buttons.push(button('Resolve', number, () => onResolve(number, current)));
    else if (!isCurrent) buttons.push(button('Restore', number, () => restore(number)));
    const item = element('li', {}, name, element('span', { className: 'meta', textContent: meta.join(' · ') }));
    item.ariaCurrent = String(isCurrent);
    item.append(element('span', { className: 'buttons' }, ...buttons));
    return item;
  }

  function button(label, number, action) {
    const made = element('button', { className: 'quiet', textContent: label, ariaLabel: `${label} version ${number}` });
    made.addEventListener('click', act(action));
    return made;
  }

  async function restore(number) {
    await saveFirst();
    await inset(`${path}/versions/${number}/restore`, { method: 'POST' });
    await Promise.all([onRestored(), show()]);
  }

  async function look(number) {
    const response = await inset(`${path}/versions/${number}/content`, { raw: true });
    const file = await response.blob();
    $('look-title').textContent = `Version ${number}`;
    $('cells').replaceChildren(...cells(await file.text()));
    URL.revokeObjectURL($('download').href);
    $('download').href = URL.createObjectURL(file);
    $('download').hidden = false;
    $('download').download = `${$('title').textContent} v${number}.ipynb`;
    $('look').showModal();
  }

  async function compare(number, current) {
    const [from, to] = [number, current].sort((one, other) => one - other);
    const diff = await inset(`${path}/diff?from=${from}&to=${to}`);
    $('look-title').textContent = `From version ${from} to version ${to}`;
    $('download').hidden = true;
    $('cells').replaceChildren(...differences(diff));
    $('look').showModal();
  }

  watchPanel($('show-history'), show);
  $('older').addEventListener('click', act(() => show({ older: true })));

  return {
    refresh: () => {
      if (!$('history').hidden) show().catch(showProblem);
    },
  };
}

/** A notebook's cells as plain text: whatever is in them, nothing of it runs here. */
function cells(text) {
  const notebook = JSON.parse(text);
  if (!notebook.cells.length) return [element('p', { className: 'empty', textContent: 'No cells yet.' })];
  return notebook.cells.map(({ cell_type, source }) => {
    const shown = [].concat(source).join('');
    return element('pre', { className: cell_type, textContent: shown });
  });
}
