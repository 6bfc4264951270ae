/** What the fake keeps: notebooks with their versions, sessions with their events. */
import { createHash, randomUUID } from 'node:crypto';
import { missing } from './refusals.js';

export interface Version {
  number: number;
  content: string;
  sha256: string;
  origin: string;
  createdAt: string;
  /** Kept on the side by a conflict. */
  aside: boolean;
}

export interface Notebook {
  id: string;
  name: string;
  owner: string;
  versions: Version[];
}

/** Why a session fails. */
export interface Failure {
  code: string;
  title: string;
  detail: string;
}

const OVER = ['ended', 'failed'];
const STEPS = [
  ['starting', 10, 'Finding a seat'],
  ['starting', 45, 'Starting the notebook server'],
  ['loading', 85, 'Loading the notebook'],
] as const;
const CLOSING = 100;
const EMPTY = {
  cells: [{ cell_type: 'code', execution_count: null, id: 'first', metadata: {}, outputs: [], source: [] }],
  metadata: {}, nbformat: 4, nbformat_minor: 5,
};

export class Kept {
  readonly issuer = 'demo';
  readonly keyId = 'demo-1';
  readonly notebooks = new Map<string, Notebook>();
  readonly sessions = new Map<string, Session>();
  down = false;
  failure: Failure | undefined;
  step = 0;
  delay = 0;
  /** What an `Idempotency-Key` has made, by user, route and key. */
  readonly made = new Map<string, string>();
  #events = 0;

  constructor(readonly url: string, readonly origin: string, readonly key: string) {}

  add(owner: string, name: string, document: object = EMPTY): Notebook {
    const notebook = { id: randomUUID().replaceAll('-', ''), name, owner, versions: [] };
    this.notebooks.set(notebook.id, notebook);
    this.save(notebook, written(document), 'api');
    return notebook;
  }

  save(notebook: Notebook, content: string, origin: string): Version {
    const version = added(notebook, content, origin, false);
    const { number, sha256 } = version;
    for (const session of this.live(notebook)) {
      session.version = number;
      session.tell('saved', { version: number, sha256, origin, author: notebook.owner });
    }
    return version;
  }

  /** Store what was sent on top of an old version. */
  keepAside(notebook: Notebook, content: string, base: number): Version {
    const version = added(notebook, content, 'api', true);
    const resolve = `/v1/notebooks/${notebook.id}/versions/${String(version.number)}/resolve`;
    const numbers = { base_version: base, current_version: current(notebook).number, kept_version: version.number };
    for (const session of this.live(notebook)) session.tell('conflict', { ...numbers, resolve });
    return version;
  }

  live(notebook: Notebook): Session[] {
    return [...this.sessions.values()].filter((each) => each.notebook === notebook && !OVER.includes(each.state));
  }

  /** The session that a notebook has open, or a new one. */
  open(notebook: Notebook, may: string[]): Session {
    for (const session of this.sessions.values()) {
      session.advance();
      if (session.notebook === notebook && ![...OVER, 'ending'].includes(session.state)) return session;
    }
    const session = new Session(notebook, may, this.step, this.failure, () => ++this.#events);
    this.sessions.set(session.id, session);
    return session;
  }
}

/** It goes on by the clock, and is brought up to it whenever somebody looks. */
export class Session {
  readonly id = randomUUID().replaceAll('-', '');
  readonly events: { id: number; kind: string; data: object }[] = [];
  state = 'starting';
  percent = 0;
  message = 'Waiting for its turn';
  version: number | null = null;
  reason: string | null = null;
  readonly createdAt = new Date().toISOString();
  readyAt: string | null = null;
  endedAt: string | null = null;
  #began = Date.now();
  #done = 0;

  constructor(
    readonly notebook: Notebook,
    readonly may: string[],
    readonly step: number,
    readonly failure: Failure | undefined,
    readonly nextId: () => number,
  ) {}

  get over(): boolean {
    return OVER.includes(this.state);
  }

  get opening(): boolean {
    return ['queued', 'starting', 'loading'].includes(this.state);
  }

  /** Do what is due by now. */
  advance(): void {
    while (this.opening && Date.now() >= this.#began + this.#done * this.step) {
      const next = STEPS[this.#done++];
      if (!next) {
        this.#settle();
        break;
      }
      [this.state, this.percent, this.message] = next;
      this.tell('progress', { percent: this.percent, message: this.message, state: this.state });
    }
    if (this.state === 'ending' && Date.now() >= this.#began + CLOSING) {
      this.state = 'ended';
      this.endedAt = new Date().toISOString();
      this.tell('ended', { reason: this.reason });
    }
  }

  end(reason: string): void {
    if (this.over || this.state === 'ending') return;
    this.state = 'ending';
    this.reason = reason;
    this.#began = Date.now();
    this.tell('ending', { reason, in: 5 });
  }

  tell(kind: string, data: object): void {
    this.events.push({ id: this.nextId(), kind, data: { at: new Date().toISOString(), ...data } });
  }

  #settle(): void {
    if (this.failure) {
      this.state = 'failed';
      this.endedAt = new Date().toISOString();
      this.tell('failed', this.failure);
      return;
    }
    this.state = 'ready';
    this.percent = 100;
    this.message = 'Ready';
    this.version = current(this.notebook).number;
    this.readyAt = new Date().toISOString();
    this.tell('ready', { embeddable: true, version: this.version });
  }
}

/** The version that a reader gets. */
export function current({ versions }: Notebook): Version {
  const newest = versions.filter(({ aside }) => !aside).at(-1);
  if (!newest) throw missing('Version');
  return newest;
}

function added(notebook: Notebook, content: string, origin: string, aside: boolean): Version {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const version = { number: notebook.versions.length + 1, content, sha256, origin, aside, createdAt: new Date().toISOString() };
  notebook.versions.push(version);
  return version;
}

/** Write a document as Jupyter does. */
export function written(document: object): string {
  return `${JSON.stringify(document, undefined, 1)}\n`;
}
