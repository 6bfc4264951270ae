/**
 * Inset's API from TypeScript: `openapi-typescript` makes types of `docs/openapi.json`, `openapi-fetch` sends by them.
 * Paths, parameters, bodies, answers and problems are checked by the compiler.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

type Notebook = components['schemas']['NotebookStored'];
type Problem = components['schemas']['ProblemDocument'];

/** What the service says is wrong; branch on `slug`. */
export class InsetProblem extends Error {
  readonly slug: string;
  readonly status: number;

  constructor({ type, title, detail, status }: Problem) {
    super(`${title}: ${detail}`);
    this.slug = type.replace('urn:inset:problem:', '');
    this.status = status;
  }
}

/** Make a notebook for the user whose token this is, give it a second version, and say what its history is. */
export async function story(url: string, token: string): Promise<number[]> {
  const inset = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

  const created = await inset.POST('/v1/notebooks', {
    body: { name: 'Reach of open access' },
    params: { header: { 'Idempotency-Key': crypto.randomUUID() } },
  });
  const notebook: Notebook = told(created);

  const path = { id: notebook.id };
  const body = { cells: [], metadata: {}, nbformat: 4, nbformat_minor: 5 };
  told(await inset.PUT('/v1/notebooks/{id}/content', { params: { path, header: { 'if-match': `"${String(notebook.version)}"` } }, body }));
  // @ts-expect-error there is no such parameter
  void (() => inset.GET('/v1/notebooks/{id}/versions', { params: { path, query: { limt: 1 } } }));

  const { items } = told(await inset.GET('/v1/notebooks/{id}/versions', { params: { path } }));
  return items.map(({ number }) => number);
}

function told<T>({ data, error }: { data?: T | undefined; error?: unknown }): T {
  if (error !== undefined) throw new InsetProblem(error as Problem);
  return data as T;
}
