/** The dialog for a notebook that was changed in two places: nothing is lost, and its user says what becomes current. */

import { inset } from './inset.js';

const PARTS = {
  source: 'its text', outputs: 'its outputs', metadata: 'its settings', cells: 'removed or moved on one side, changed on the other',
};
const $ = (id) => document.getElementById(id);

/** Wire the dialog up. `ask` opens it for the version that was kept beside the current one; `told` unless put off. */
export function watchConflicts(notebookId, { onResolved }) {
  const path = `/v1/notebooks/${notebookId}`;
  const buttons = [...$('conflict').querySelectorAll('[data-take]')];
  let kept = null;
  let putOff = false;

  function ask(newest, current) {
    kept = newest;
    $('conflict-text').textContent =
      `Version ${current} (“theirs”) was saved while an older one was worked on here, or in another window. `
      + `That work is kept as version ${kept} (“mine”). Whichever you choose, both stay in the history.`;
    if ($('conflict').open) return;
    $('unsettled').hidden = $('conflict-problem').hidden = true;
    $('conflict').showModal();
  }

  function told(newest, current) {
    if (!putOff) ask(newest, current);
  }

  /** Somebody has decided in another window. */
  function over() {
    if ($('conflict').open) $('conflict').close();
  }

  async function take(side) {
    buttons.forEach((button) => button.setAttribute('aria-disabled', 'true'));
    $('conflict-problem').hidden = true;
    try {
      if (side) await inset(`${path}/versions/${kept}/resolve`, { method: 'POST', body: { take: side } });
      putOff = !side;
      $('conflict').close();
      if (side) onResolved();
    } catch (problem) {
      if (problem.members?.unsettled) await tell(problem.members);
      else refuse(problem);
    } finally {
      buttons.forEach((button) => button.removeAttribute('aria-disabled'));
    }
  }

  function refuse(problem) {
    $('conflict-problem').textContent = problem.message;
    $('conflict-problem').hidden = false;
  }

  /** Name what both sides changed, as a reader finds it. */
  async function tell({ unsettled, kept_version: newest }) {
    kept = newest;
    const cells = await inset(`${path}/versions/${kept}/content`).then((notebook) => notebook.cells, () => []);
    const lines = unsettled.map(({ cell, part }) => {
      const index = typeof cell === 'number' ? cell : cells.findIndex(({ id }) => id === cell);
      const [first] = [cells[index]?.source ?? []].flat().join('').split('\n');
      const name = index < 0 ? `A cell that yours has not (${cell})` : `Cell ${index + 1}${first && ` “${first.slice(0, 40)}”`}`;
      return Object.assign(document.createElement('li'), {
        textContent: cell === null ? 'The notebook’s own settings' : `${name}: ${PARTS[part]}`,
      });
    });
    $('unsettled').querySelector('ul').replaceChildren(...lines);
    $('unsettled').hidden = false;
  }

  buttons.forEach((button) => button.addEventListener('click', () => {
    if (!button.hasAttribute('aria-disabled')) take(button.dataset.take);
  }));

  $('conflict').addEventListener('cancel', () => { putOff = true; });

  return { ask, told, over };
}
