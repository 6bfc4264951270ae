/** Requests and reports over the port that a frame was given. */
import { EmbedError } from './errors.js';
import { type FrameMessage, isFrameMessage, type PageMessage, type Saved, tag, type Untagged } from './protocol.js';
import { after } from './timers.js';

/** The codes of a failed save that a host can do something about. */
const PROMISED = ['conflict', 'not-allowed'] as const;

interface Pending {
  settle: (answer: FrameMessage) => void;
  fail: (error: EmbedError) => void;
}

export class Channel {
  readonly #port: MessagePort;
  readonly #hear: (message: FrameMessage) => void;
  readonly #pending = new Map<string, Pending>();
  readonly #closed = new AbortController();
  #requests = 0;

  /** `hear` is told what nobody asked for. */
  constructor(port: MessagePort, hear: (message: FrameMessage) => void) {
    this.#port = port;
    this.#hear = hear;
    port.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (isFrameMessage(data)) this.#receive(data);
    };
  }

  /** Save what the editor holds; settles when the database has it. */
  async save(timeout: number): Promise<Saved> {
    const answer = await this.#ask('save', timeout, 'The notebook was not saved in time.');
    if (answer.type === 'saved') return answer;
    if (answer.type !== 'save-failed') throw new EmbedError('save-failed', 'The notebook gave no sensible answer.');
    throw new EmbedError(PROMISED.find((code) => code === answer.code) ?? 'save-failed', answer.message);
  }

  /** Settles if the frame is still there. */
  async ping(timeout: number): Promise<void> {
    await this.#ask('ping', timeout, 'The notebook does not answer.');
  }

  /** Give the frame what keeps its way in open. */
  renew(ticket: string): void {
    this.#post({ type: 'renew', ticket });
  }

  close(error: EmbedError): void {
    this.#closed.abort();
    this.#port.close();
    for (const { fail } of this.#pending.values()) fail(error);
    this.#pending.clear();
  }

  #ask(type: 'save' | 'ping', timeout: number, late: string): Promise<FrameMessage> {
    const request = String(++this.#requests);
    return new Promise((resolve, reject) => {
      const cancel = after(timeout, this.#closed.signal, () => {
        this.#pending.delete(request);
        reject(new EmbedError('timeout', late));
      });
      this.#pending.set(request, {
        settle: (answer) => {
          cancel();
          resolve(answer);
        },
        fail: reject,
      });
      this.#post({ type, request });
    });
  }

  #post(message: Untagged<PageMessage>): void {
    this.#port.postMessage(tag(message));
  }

  #receive(message: FrameMessage): void {
    const request = 'request' in message ? message.request : undefined;
    if (request === undefined) {
      this.#hear(message);
      return;
    }
    this.#pending.get(request)?.settle(message);
    this.#pending.delete(request);
  }
}
