/** Two versions compared, cell by cell, as Inset tells it. */

import { element } from './elements.js';

const CHANGES = { added: 'Added', removed: 'Removed', changed: 'Changed', moved: 'Moved' };

/** What to show of `GET …/diff`. Everything of the notebook is text: nothing of it runs here. */
export function differences({ cells, metadata_changed: settings, unchanged }) {
  const shown = cells.map((cell) => {
    const number = (cell.to_index ?? cell.from_index) + 1;
    const facts = [`${CHANGES[cell.change] ?? cell.change}: cell ${number}`];
    if (cell.change === 'moved') facts.push(`was cell ${cell.from_index + 1}`);
    if (cell.type_changed) facts.push('another kind of cell');
    if (cell.outputs_changed) facts.push('other outputs');
    return element(
      'section', { className: 'difference' },
      element('h3', { textContent: facts.join(', ') }),
      ...cell.source.map(({ lines }) => element('pre', { className: 'code' }, ...lines.map(line))),
    );
  });
  const rest = [unchanged === 1 ? 'One other cell is the same.' : `${unchanged || 'No'} other cells are the same.`];
  if (settings) rest.push('The notebook’s own settings differ.');
  return [...shown, element('p', { className: 'hint', textContent: rest.join(' ') })];
}

function line({ op, text }) {
  const tag = { '+': 'ins', '-': 'del' }[op] ?? 'span';
  return element(tag, { textContent: `${op} ${text}\n` });
}
