/** What the fake refuses, in the service's words. */
import { randomUUID } from 'node:crypto';

export class Refusal extends Error {
  readonly problem: object;

  constructor(readonly status: number, slug: string, title: string, members: object = {}) {
    super(slug);
    const instance = `urn:inset:request:${randomUUID().replaceAll('-', '')}`;
    this.problem = { type: `urn:inset:problem:${slug}`, title, status, detail: `${title}.`, instance, ...members };
  }
}

/** No such thing, or somebody else's: the two look alike. */
export function missing(kind: 'Notebook' | 'Session' | 'Version'): Refusal {
  return new Refusal(404, `${kind.toLowerCase()}-not-found`, `${kind} not found`);
}
