/** What the fake keeps: notebooks with their versions, sessions with their events. */
import { createHash, randomUUID } from 'node:crypto';
import { ReceiptSigner } from './receipts.js';
import { missing, type Refusal } from './refusals.js';
import { Webhooks, type Delivery, type Webhook } from './webhooks.js';

export interface Version {
  number: number;
  content: string;
  sha256: string;
  origin: string;
  author: string;
  /** The version that it is based on. */
  parent: number | null;
  createdAt: string;
  /** Kept on the side by a conflict, which is `open` or `settled`. */
  aside: 'open' | 'settled' | null;
  /** The version on the side that it has taken in. */
  merged: number | null;
  label: string | null;
}

export interface Notebook {
  id: string;
  name: string;
  owner: string;
  deleted: boolean;
  versions: Version[];
}

/** Why a session fails. */
export interface Failure {
  code: string;
  title: string;
  detail: string;
}

/** Origins of what is saved inside Jupyter, in a session. */
const IN_A_SESSION = ['autosave', 'save', 'stop'];
const OVER = ['ended', 'failed'];
/** What a session can wait for, beside its turn. */
export type WaitsFor = 'hub' | 'image';

const WAITING = {
  turn: 'Waiting for its turn',
  hub: 'The notebook hub does not answer; it is asked again',
  image: 'Fetching the notebook server’s image',
};
const STEPS = [
  ['starting', 10, 'Finding a seat'],
  ['starting', 45, 'Starting the notebook server'],
  ['loading', 85, 'Loading the notebook'],
] as const;
const CLOSING = 100;
const SECONDS_A_PLACE = 60;
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
  /** Where sessions opened from now on stand in the queue, until their own `place` is null. */
  place: number | null = null;
  /** What sessions opened from now on wait for, until their own `waitsFor` is null. */
  waitsFor: WaitsFor | null = null;
  step = 0;
  delay = 0;
  /** Answer everything that is asked with a good token with this. */
  refusing: Refusal | undefined;
  /** What no merge settles: `cell` and `part` of each place. None: a merge takes the version on the side. */
  unsettled: object[] = [];
  /** By user, route and `Idempotency-Key`: the hash of what was asked, and its answer. */
  readonly answered = new Map<string, { asked: string; answer: object }>();
  /** When users were turned away, in seconds. */
  readonly revoked = new Map<string, number>();
  readonly hooks = new Webhooks();
  readonly signer: ReceiptSigner;
  #events = 0;

  constructor(readonly url: string, readonly origin: string, readonly key: string) {
    this.signer = new ReceiptSigner(url, this.issuer);
  }

  add(owner: string, name: string, document: object = EMPTY): Notebook {
    const notebook = { id: randomUUID().replaceAll('-', ''), name, owner, deleted: false, versions: [] };
    this.notebooks.set(notebook.id, notebook);
    this.keep(notebook, written(document), 'api');
    return notebook;
  }

  keep(notebook: Notebook, content: string, origin: string, facts: Partial<Version> = {}): Version {
    const parent = notebook.versions.length ? current(notebook).number : null;
    const version = added(notebook, content, { origin, parent, ...facts });
    const { number, sha256 } = version;
    for (const session of this.live(notebook)) {
      session.version = number;
      session.tell('saved', { version: number, sha256, origin, author: notebook.owner });
    }
    this.#tellOfVersion(notebook, version);
    return version;
  }

  /** Store what was sent on top of an old version. */
  keepOnTheSide(notebook: Notebook, content: string, base: number, origin: string): Version {
    const version = added(notebook, content, { origin, parent: base, aside: 'open' });
    for (const session of this.live(notebook)) session.tell('conflict', this.conflict(notebook, version));
    this.#tellOfVersion(notebook, version);
    return version;
  }

  /** What a version on the side is beside. */
  conflict(notebook: Notebook, { number, parent }: Version): object {
    const resolve = `/v1/notebooks/${notebook.id}/versions/${String(number)}/resolve`;
    return { base_version: parent, current_version: current(notebook).number, kept_version: number, resolve };
  }

  receipt(notebook: Notebook, version: Version): string {
    return this.signer.receipt(notebook, version);
  }

  get webhooks(): Webhook[] {
    this.advance();
    return this.hooks.told;
  }

  get webhookSecret(): string {
    return this.hooks.secret;
  }

  get deliveries(): Delivery[] {
    return this.hooks.deliveries;
  }

  /** Bring every session up to the clock. */
  advance(): void {
    for (const session of this.sessions.values()) session.advance();
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
    const session = new Session(notebook, may, this.place, this.waitsFor, this.step, this.failure, () => ++this.#events, (kind) => { this.#tellOfSession(session, kind); });
    this.sessions.set(session.id, session);
    return session;
  }

  #tellOfVersion(notebook: Notebook, version: Version): void {
    const [live] = IN_A_SESSION.includes(version.origin) ? this.live(notebook) : [];
    const { number, parent, sha256, content, origin, author, createdAt, aside } = version;
    this.hooks.happened(aside ? 'notebook.conflict' : 'notebook.saved', notebook.id, {
      host: this.issuer, user: notebook.owner, notebook_id: notebook.id, session_id: live?.id ?? null,
      version: number, parent, sha256, size: Buffer.byteLength(content), origin, author, stored_at: createdAt,
      receipt: this.receipt(notebook, version),
      ...aside && { current_version: current(notebook).number },
    });
  }

  #tellOfSession(session: Session, kind: string): void {
    if (!['ready', ...OVER].includes(kind)) return;
    const { id, notebook, version, createdAt, readyAt, endedAt, state, reason, failure } = session;
    const over = { state, reason: kind === 'failed' ? failure?.code ?? null : reason, ended_at: endedAt };
    this.hooks.happened(kind === 'ready' ? 'session.ready' : 'session.ended', id, {
      host: this.issuer, user: notebook.owner, session_id: id, notebook_id: notebook.id, profile: 'default',
      version, opened_at: createdAt, ready_at: readyAt,
      ...kind === 'ready' ? { embeddable: true } : over,
    });
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
  credentials: Record<string, string | null> = {};
  readonly createdAt = new Date().toISOString();
  readyAt: string | null = null;
  endedAt: string | null = null;
  #began = Date.now();
  #done = 0;
  #told = '';

  constructor(
    readonly notebook: Notebook,
    readonly may: string[],
    /** Where it waits in the queue, 1 is next; null lets it in. */
    public place: number | null,
    /** The `hub` or the `image` that it waits for; null has it go on. */
    public waitsFor: WaitsFor | null,
    readonly step: number,
    readonly failure: Failure | undefined,
    readonly nextId: () => number,
    readonly heard: (kind: string) => void,
  ) {}

  get over(): boolean {
    return OVER.includes(this.state);
  }

  get opening(): boolean {
    return ['queued', 'starting', 'loading'].includes(this.state);
  }

  /** Do what is due by now. */
  advance(): void {
    if ((this.place || this.waitsFor) && this.opening) this.#wait();
    else if (this.#began === Infinity) this.#began = Date.now();
    while (this.opening && Date.now() >= this.#began + this.#done * this.step) {
      const next = STEPS[this.#done++];
      if (!next) {
        this.#settle();
        break;
      }
      [this.state, this.percent, this.message] = next;
      this.tell('progress', { percent: this.percent, message: this.message, waits_for: null, state: this.state });
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
    this.credentials = {};
    this.#began = Date.now();
    this.tell('ending', { reason, in: 5 });
  }

  tell(kind: string, data: object): void {
    this.events.push({ id: this.nextId(), kind, data: { at: new Date().toISOString(), ...data } });
    this.heard(kind);
  }

  get estimatedWait(): number | null {
    return this.state === 'queued' ? SECONDS_A_PLACE * (this.place ?? 0) : null;
  }

  #wait(): void {
    const { place: position, waitsFor: waits_for } = this;
    const fetches = waits_for === 'image' && !position;
    [this.state, this.percent] = fetches ? ['starting', 10] : ['queued', 0];
    this.#began = Infinity;
    const told = JSON.stringify([position, waits_for]);
    if (told === this.#told) return;
    this.#told = told;
    this.message = WAITING[waits_for ?? 'turn'];
    const { percent, message, state, estimatedWait: estimated_wait } = this;
    this.tell('progress', { percent, message, waits_for, state, ...!fetches && { position, estimated_wait } });
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

function added(notebook: Notebook, content: string, facts: Pick<Version, 'origin' | 'parent'> & Partial<Version>): Version {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const usual = { author: notebook.owner, aside: null, merged: null, label: null, createdAt: new Date().toISOString() };
  const version = { ...usual, number: notebook.versions.length + 1, content, sha256, ...facts };
  notebook.versions.push(version);
  return version;
}

/** Write a document as Jupyter does. */
export function written(document: { cells?: { source?: string | string[] }[] }): string {
  const cells = document.cells?.map((cell) => ({ ...cell, source: lines([cell.source ?? ''].flat().join('')) }));
  return `${JSON.stringify({ ...document, cells }, undefined, 1)}\n`;
}

function lines(text: string): string[] {
  return text.match(/.*\n|.+$/g) ?? [];
}
