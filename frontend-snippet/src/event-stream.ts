/** Server-sent events out of a `fetch` body, because `EventSource` can't send `Authorization`. */

export interface ServerEvent {
  /** The last id seen so far; what `Last-Event-ID` resumes after. */
  id: string;
  event: string;
  data: string;
}

/** Cuts text that arrives in arbitrary pieces into events, as the HTML standard describes. */
export class EventStreamParser {
  #rest = '';
  #id = '';
  #event = '';
  #data: string[] = [];

  push(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    // The last line is not complete; a final CR may be half of a CRLF and so stays with it.
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): ServerEvent[] {
    if (line === '') return this.#dispatch();
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?/s.exec(line) ?? [];
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    return [];
  }

  #dispatch(): ServerEvent[] {
    const event = { id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') };
    const empty = this.#data.length === 0;
    this.#event = '';
    this.#data = [];
    return empty ? [] : [event];
  }
}

/**
 * Read a body's events until it ends. `alive` is called for every piece, comments included:
 * a stream whose keep-alives stop is dead, even if nobody closed it.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  alive: () => void,
): AsyncGenerator<ServerEvent, void> {
  const parser = new EventStreamParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // The caller aborts the request where it stops early; what that does to the body is no news.
    reader.cancel().catch(() => undefined);
  }
}
