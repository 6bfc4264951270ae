/** Server-sent events out of a `fetch` body, because `EventSource` can't send `Authorization`. */

export interface ServerEvent {
  /** The last id seen so far; what `Last-Event-ID` resumes after. */
  id: string;
  event: string;
  data: string;
}

/**
 * Read a body's events until it ends, as the HTML standard describes, wherever the text is cut. `alive` is called for
 * every piece, comments included: a stream whose keep-alives stop is dead, even if nobody closed it.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>, alive: () => void): AsyncGenerator<ServerEvent, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  let id = '';
  let event = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
      // The last line is not complete; a final CR may be half of a CRLF and so stays with it.
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [, field, said = ''] = /^([^:]*)(?:: ?(.*))?/s.exec(line) ?? [];
        if (field === 'data') data.push(said);
        else if (field === 'event') event = said;
        else if (field === 'id') id = said;
        else if (!line) {
          if (data.length) yield { id, event, data: data.join('\n') };
          event = '';
          data = [];
        }
      }
    }
  } finally {
    // The caller aborts the request where it stops early; what that does to the body is no news.
    reader.cancel().catch(() => undefined);
  }
}
