/** The panels beside the notebook, of which one is open at a time. */

import { act } from './inset.js';

const buttons = () => [...document.querySelectorAll('button[aria-controls][aria-expanded]')];

/** Wire a button up that opens and closes the panel that it controls; `show` fills it each time it opens. */
export function watchPanel(button, show) {
  button.addEventListener('click', act(async () => {
    const open = button.getAttribute('aria-expanded') !== 'true';
    for (const each of buttons()) {
      const shown = each === button && open;
      each.setAttribute('aria-expanded', shown);
      document.getElementById(each.getAttribute('aria-controls')).hidden = !shown;
    }
    if (open) await show();
  }));
}
