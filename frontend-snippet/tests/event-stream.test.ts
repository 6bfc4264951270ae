import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEvents, type ServerEvent } from '../src/event-stream.js';

const STREAM = ': keep-alive\n\nid: 17\nevent: progress\ndata: {"a":\ndata: 1}\n\r\nretry: 5\r\nid:18\r\ndata: x\r\n\r\n';
const EVENTS = [
  { id: '17', event: 'progress', data: '{"a":\n1}' },
  { id: '18', event: '', data: 'x' },
];

/** What comes out of a body that arrives in these pieces. */
async function read(...pieces: string[]): Promise<ServerEvent[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  const events = [];
  for await (const event of readEvents(body, () => undefined)) events.push(event);
  return events;
}

test('events come out as they went in', async () => {
  assert.deepEqual(await read(STREAM), EVENTS);
});

test('events come out the same wherever the text is cut', async () => {
  for (let cut = 0; cut <= STREAM.length; cut++) assert.deepEqual(await read(STREAM.slice(0, cut), STREAM.slice(cut)), EVENTS, String(cut));
  assert.deepEqual(await read(...Array.from(STREAM)), EVENTS);
});

test('the last id holds for events without one, and an unfinished event is none', async () => {
  assert.deepEqual(await read('id: 1\ndata: a\n\ndata: b\n\ndata: c\n'), [
    { id: '1', event: '', data: 'a' },
    { id: '1', event: '', data: 'b' },
  ]);
});

test('a character may be cut in two, and every piece is a sign of life', async () => {
  const bytes = new TextEncoder().encode('data: ü\n\n');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.slice(0, 7));
      controller.enqueue(bytes.slice(7));
      controller.close();
    },
  });
  let signs = 0;
  const events = [];
  for await (const event of readEvents(body, () => signs++)) events.push(event.data);
  assert.deepEqual(events, ['ü']);
  assert.equal(signs, 2);
});
