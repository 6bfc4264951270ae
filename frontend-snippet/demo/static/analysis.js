/** The page of one analysis: its notebook, and the host's own controls around it. */

import { embedNotebook } from '/sdk/inset-notebook.js';
import { watchCheckup } from './checkup.js';
import { watchConflicts } from './conflicts.js';
import { clockTime } from './format.js';
import { watchHistory } from './history.js';
import { act, fetchToken, inset, refuse, serviceUrl, showProblem } from './inset.js';
import { watchPanel } from './panels.js';
import { watchTools } from './tools.js';

const notebookId = document.querySelector('meta[name="inset-notebook"]').content;
const $ = (id) => document.getElementById(id);
/** Inset's webhooks come about a second after what they tell of. */
const TOLD_WITHIN = 2_000;

/** What the controls show. `phase`: busy, open, failed or ended; `save`: idle, saving or failed. */
const view = { phase: 'busy', note: 'Opening…', dirty: false, save: 'idle', kept: 'saved', version: null, savedAt: null };

// Before the notebook, which tells of itself at once.
const tools = watchTools((name, ...value) => notebook.command(name, ...value), { analysis: $('tools').dataset.analysis });

const notebook = embedNotebook({
  mountPoint: $('notebook'),
  serviceUrl,
  notebookId,
  fetchToken,
  title: $('title').textContent,
  nonce: $('notebook').nonce,
  saveLine: false,    // this page has its own, in the toolbar
  onProgress: ({ percent, message }) => update({ phase: 'busy', note: `${message} (${Math.round(percent)} %)` }),
  onReady: () => {
    update({ phase: 'open', save: 'idle' });
    tools.apply();
  },
  onEvent: (told) => tools.heard(told),
  onDirty: ({ dirty }) => update({ dirty }),
  onSaveState: ({ state }) => update({ kept: state }),
  onSaving: () => update({ save: 'saving' }),
  onSaved: ({ origin }) => {
    update({ save: 'idle' });
    if (origin === 'merge' || origin === 'restore') conflicts.over();
    refresh();
    historyPanel.refresh();
    setTimeout(() => tools.showTold().catch(showProblem), TOLD_WITHIN);
  },
  onSaveFailed: ({ code, message }) => update({ save: 'failed', note: code === 'conflict' ? message : `Save failed: ${message}` }),
  onConflict: ({ keptVersion, currentVersion }) => {
    historyPanel.refresh();
    conflicts.told(keptVersion, currentVersion);
  },
  onRenamed: refresh,
  onEnding: () => update({ phase: 'busy', note: 'Saving and closing…' }),
  onEnded: () => update({ phase: 'ended', note: 'Session ended', dirty: false }),
  onFailed: ({ message }) => update({ phase: 'failed', note: message }),
});

/** Show what the database holds now; the analysis follows a notebook that was renamed inside Jupyter. */
async function refresh() {
  try {
    const title = $('title').textContent;
    const { name, version, updated_at: savedAt } = await inset(`/v1/notebooks/${notebookId}`);
    update({ version, savedAt });
    const renamedHere = title !== $('title').textContent;    // while we asked
    if (name !== title && !renamedHere) await rename(name);
  } catch (problem) {
    showProblem(problem);
  }
}

/** Give the analysis another title; its notebook is renamed with it. */
async function rename(title) {
  const body = new URLSearchParams({ title });
  await refuse(await fetch($('rename').action, { method: 'POST', body }));
  $('title').textContent = title;
  document.title = `${title} – Fieldnotes`;
}

/** The button's text, whether it can be pressed, and the words beside it. */
function controls() {
  if (view.phase !== 'open') return ['Save', false, view.note];
  if (view.save === 'saving') return ['Saving…', false, 'Saving…'];
  if (view.save === 'failed') return ['Save again', true, view.note];
  if (view.kept === 'offline') return ['Save', true, 'Offline: changes are kept and saved later'];
  return view.dirty ? ['Save', true, 'Unsaved changes'] : ['Saved', false, 'All changes saved'];
}

function update(change) {
  Object.assign(view, change);
  const [label, enabled, state] = controls();
  const bad = view.phase === 'failed' || view.save === 'failed';
  $('save').textContent = label;
  $('save').setAttribute('aria-disabled', !enabled);    // not `disabled`, which would take the keyboard's focus away
  if ($('state').textContent !== state) $('state').textContent = state;
  $('state').dataset.tone = bad ? 'bad' : view.dirty ? 'unsaved' : 'calm';
  $('version').textContent = view.version ? `Version ${view.version}` : '';
  $('when').textContent = view.version ? ` · saved ${clockTime(view.savedAt)}` : '';
  $('end').hidden = view.phase !== 'open';
}

const conflicts = watchConflicts(notebookId, {
  onResolved: () => {
    update({ save: 'idle' });
    refresh();
    historyPanel.refresh();
  },
});

const historyPanel = watchHistory(notebookId, {
  saveFirst: async () => { if (view.dirty) await notebook.save(); },
  onRestored: refresh,
  onResolve: conflicts.ask,
});

watchPanel($('show-tools'), tools.showTold);

watchCheckup($('checkup'), { notebookId, notebook });

$('save').addEventListener('click', () => {
  if (!controls()[1]) return;
  showProblem();
  notebook.save().catch(() => {});    // onSaveFailed tells it
});
document.addEventListener('keydown', (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key !== 's') return;
  event.preventDefault();
  $('save').click();
});
$('end').addEventListener('click', act(() => notebook.close()));
$('rename').addEventListener('submit', act(async () => {
  await rename(new FormData($('rename')).get('title'));
  $('rename').hidePopover();
}));

refresh();
