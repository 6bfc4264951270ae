/** Requests and reports over the port that a frame was given. */
import { EmbedError } from './errors.js';
import {
  type Command, type DoCommand, type FrameMessage, isFrameMessage, type PageMessage, type Ping, type Save, type Saved, tag, type Untagged,
} from './protocol.js';

/** The codes of a failed save or command that a host can do something about. */
const PROMISED = ['conflict', 'not-allowed', 'no-such-cell', 'bad-value', 'read-only'];

/** A message that is answered, before it has its number. */
type Asked = Omit<Untagged<Save>, 'request'> | Omit<Untagged<Ping>, 'request'> | Omit<Untagged<DoCommand>, 'request'>;
type Answer<T extends FrameMessage['type']> = Extract<FrameMessage, { type: T }>;

type Settle = (answer: FrameMessage | EmbedError) => void;

export class Channel {
  readonly #port: MessagePort;
  readonly #hear: (message: FrameMessage) => void;
  readonly #pending = new Map<string, Settle>();
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
  save(timeout: number): Promise<Saved> {
    return this.#ask({ type: 'save' }, 'saved', timeout);
  }

  /** Have the frame do something; settles when it has, with what it gives. */
  async order(command: Command, value: DoCommand['value'], timeout: number): Promise<string | undefined> {
    return (await this.#ask({ type: 'command', command, value }, 'done', timeout)).result;
  }

  /** Settles if the frame is still there. */
  ping(timeout: number): Promise<unknown> {
    return this.#ask({ type: 'ping' }, 'pong', timeout);
  }

  /** Give the frame what keeps its way in open. */
  renew(ticket: string): void {
    this.#post({ type: 'renew', ticket });
  }

  close(error: EmbedError): void {
    this.#port.close();
    for (const settle of this.#pending.values()) settle(error);
  }

  #ask<T extends FrameMessage['type']>(message: Asked, answered: T, timeout: number): Promise<Answer<T>> {
    const request = String(++this.#requests);
    return new Promise((resolve, reject) => {
      const settle: Settle = (answer) => {
        clearTimeout(timer);
        this.#pending.delete(request);
        if (answer instanceof EmbedError) reject(answer);
        else if (answer.type === answered) resolve(answer as Answer<T>);
        else reject(failure(answer, `${message.type}-failed`));
      };
      const timer = setTimeout(() => { settle(new EmbedError('timeout')); }, timeout);
      this.#pending.set(request, settle);
      this.#post({ ...message, request });
    });
  }

  #post(message: Untagged<PageMessage>): void {
    this.#port.postMessage(tag(message));
  }

  #receive(message: FrameMessage): void {
    const { request } = message as { request?: string };
    if (request === undefined) this.#hear(message);
    else this.#pending.get(request)?.(message);
  }
}

/** The error that an answer is, by the code that is promised for it. */
function failure(answer: FrameMessage, otherwise: string): EmbedError {
  const { code = '', message } = answer as { code?: string; message?: string };
  return new EmbedError(PROMISED.includes(code) ? code : otherwise, message);
}
