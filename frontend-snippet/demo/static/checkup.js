/** The check of the set-up below the notebook: nothing is loaded or asked until somebody opens it. */

import { fetchToken, serviceUrl } from './inset.js';

const WORDS = { ok: 'Good', skipped: 'Not checked', warning: 'Warning', error: 'Wrong' };

/** Examine the set-up each time the disclosure is opened, with the page's own notebook. */
export function watchCheckup(details, { notebookId, notebook }) {
  const [status, list] = details.querySelectorAll('[role="status"], ul');
  details.addEventListener('toggle', async () => {
    list.replaceChildren();
    if (!details.open) return;
    status.textContent = 'Looking…';
    const { diagnose } = await import('/sdk/diagnose.js');
    const findings = await diagnose({ serviceUrl, fetchToken, notebookId, notebook });
    const wrong = findings.filter(({ level }) => level === 'error' || level === 'warning').length;
    status.textContent = wrong ? `${wrong} of ${findings.length} checks found something.` : 'Everything that could be checked is as it should be.';
    list.replaceChildren(...findings.map(item));
  });
}

function item({ code, level, message, fix }) {
  const li = document.createElement('li');
  li.dataset.level = level;
  li.dataset.code = code;
  li.append(text('strong', WORDS[level]), text('span', message));
  if (fix) li.append(text('p', fix));
  return li;
}

function text(name, content) {
  const element = document.createElement(name);
  element.textContent = content;
  return element;
}
