import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as languages from '../src/languages.js';
import { MESSAGES } from '../src/messages.js';

/** What is filled in. */
function parts(text: string): string[] {
  return (text.match(/\{\w+\}/g) ?? []).sort();
}

for (const [name, language] of Object.entries(languages)) {
  test(`${name} has every word, with everything in it that is filled in`, () => {
    for (const [key, english] of Object.entries(MESSAGES)) {
      const said = language[key] ?? '';
      assert.ok(said, key);
      assert.notEqual(said, english, key);
      assert.deepEqual(parts(said), parts(english), key);
    }
    // Beside the SDK's own words there are codes, and what helps with them.
    for (const key of Object.keys(language).filter((each) => !(each in MESSAGES))) assert.match(key, /^(next:)?[a-z]+(-[a-z]+)+$/);
  });
}

test('all languages say the same', () => {
  const [first, ...others] = Object.values(languages).map((language) => Object.keys(language).sort());
  for (const other of others) assert.deepEqual(other, first);
});
