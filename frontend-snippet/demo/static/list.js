/** Say of each analysis in the list which version is current and when it was saved. */

import { ago } from './format.js';
import { inset, showProblem } from './inset.js';

const rows = new Map(Array.from(document.querySelectorAll('[data-notebook]'), (row) => [row.dataset.notebook, row]));

async function describe() {
  let cursor = null;
  do {
    const more = cursor ? `&cursor=${encodeURIComponent(cursor)}` : '';
    const { items, next_cursor } = await inset(`/v1/notebooks?limit=100${more}`);
    for (const { id, version, updated_at } of items) {
      const place = rows.get(id)?.querySelector('[data-version]');
      if (place) place.textContent = ` · Version ${version}, saved ${ago(updated_at)}`;
    }
    cursor = next_cursor;
  } while (cursor);
}

if (rows.size) describe().catch(showProblem);
