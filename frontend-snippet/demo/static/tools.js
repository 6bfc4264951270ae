/** The panel of tools: what a host may have its notebook do, and what it hears of it. */

import { element } from './elements.js';
import { act, refuse } from './inset.js';
import { clockTime } from './format.js';

const KEPT = 40;
const LONGEST = 24;
const $ = (id) => document.getElementById(id);
const dark = matchMedia('(prefers-color-scheme: dark)');

/** Wire the panel up. What the notebook looks like is said again whenever its frame is a new one. */
export function watchTools(command, { analysis }) {
  let note;

  const commands = {
    'run-all': () => command('run-all'),
    interrupt: () => command('interrupt'),
    restart: () => command('restart'),
    'go-to': () => command('go-to', Number($('cell').value) - 1),
    'insert-cell': async () => {
      note = await command('insert-cell', { kind: 'markdown', source: `**Note.** Made by Fieldnotes at ${now()}.` });
      $('rewrite').removeAttribute('aria-disabled');
    },
    'replace-cell': () => note && command('replace-cell', { id: note, source: `**Note.** Rewritten by Fieldnotes at ${now()}.` }),
    'read-only': () => command('read-only', $('read-only').checked),
    theme: dress,
    colors: dress,
    hide: () => command('hide', hidden()),
  };
  for (const control of $('tools').querySelectorAll('[data-command]')) {
    const kind = control.matches('button') ? 'click' : control.matches('form') ? 'submit' : 'change';
    control.addEventListener(kind, (event) => {
      if (kind !== 'change') event.preventDefault();
      act(commands[control.dataset.command])(event);
    });
  }
  dark.addEventListener('change', () => { if ($('theme').value === 'page') dress().catch(() => {}); });

  function now() {
    return clockTime(new Date());
  }

  function hidden() {
    return [...$('tools').querySelectorAll('[data-part]:not(:checked)')].map(({ dataset }) => dataset.part);
  }

  /** The page's own theme and colours, or those that the user has chosen. */
  async function dress() {
    const { value } = $('theme');
    await command('theme', value === 'page' ? (dark.matches ? 'dark' : 'light') : value);
    await command('colors', $('colors').checked && value === 'page' ? ownColors() : {});
  }

  /** Bring a new frame to what the panel says. An older notebook's image may not know all of it. */
  async function apply() {
    $('read-only').checked = false;
    for (const step of [dress, ...(hidden().length ? [commands.hide] : [])]) await step().catch(() => {});
  }

  /** Show what the notebook tells. Cells and selections are numbered from 1 here, as people count. */
  function heard({ event, detail }) {
    if (event === 'kernel') $('kernel').textContent = detail.state;
    if (event === 'selection') $('cell').value = detail.cell + 1;
    const told = Object.entries(detail).map(([name, value]) => `${name} ${brief(value)}`);
    const time = element('time', { textContent: clockTime(new Date()) });
    $('log').prepend(element('li', {}, time, element('strong', { textContent: event }), element('span', { textContent: told.join(', ') })));
    while ($('log').children.length > KEPT) $('log').lastChild.remove();
  }

  /** Show what Inset's webhooks have told this site's back end of the notebook. */
  async function showTold() {
    if ($('tools').hidden) return;
    const response = await fetch(`/analyses/${analysis}/told`);
    await refuse(response);
    const told = await response.json();
    $('told').replaceChildren(...told.map(({ type, at, what }) => element(
      'li', {}, element('time', { textContent: clockTime(at) }), element('strong', { textContent: type }), element('span', { textContent: what }),
    )));
    $('untold').hidden = told.length > 0;
  }

  return { apply, heard, showTold };
}

function brief(value) {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function ownColors() {
  const style = getComputedStyle(document.documentElement);
  const names = { background: '--paper', surface: '--surface', text: '--ink', border: '--line', accent: '--accent' };
  return Object.fromEntries(Object.entries(names).map(([name, property]) => [name, style.getPropertyValue(property).trim()]));
}
