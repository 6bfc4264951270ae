/**
 * How the fake compares two versions: cells paired by their ids, or by what they say where they have none.
 *
 * The service also pairs cells whose ids are new by how similar they are, and bounds its effort.
 */
import { isDeepStrictEqual } from 'node:util';
import { Refusal } from './refusals.js';
import type { Version } from './state.js';

const CONTEXT = 3;

interface Cell {
  id?: string;
  cell_type?: string;
  source: string;
  outputs?: object[];
  [part: string]: unknown;
}

interface Line {
  op: '+' | '-' | ' ';
  text: string;
  /** Its number on either side, from 0 on. */
  from: number;
  to: number;
}

export function compared(old: Version, now: Version): object {
  const [before, after] = [read(old), read(now)];
  const cells = changes(before.cells, after.cells);
  return {
    from_version: old.number, from_sha256: old.sha256, to_version: now.number, to_sha256: now.sha256,
    metadata_changed: !isDeepStrictEqual({ ...before, cells: null }, { ...after, cells: null }),
    cells,
    unchanged: after.cells.length - cells.filter(({ to_index: place }) => place !== null).length,
  };
}

function read({ content, number }: Version): { cells: Cell[] } {
  try {
    const document = JSON.parse(content) as { cells: (Cell & { source: string | string[] })[] };
    return { ...document, cells: document.cells.map((cell) => ({ ...cell, source: [cell.source].flat().join('') })) };
  } catch {
    throw new Refusal(422, 'not-comparable', 'Version cannot be compared', { version: number });
  }
}

/** What became of each cell, in the order of `after`; what is gone stands where it was. */
function changes(before: Cell[], after: Cell[]): ReturnType<typeof change>[] {
  const left = new Map<string, number[]>();
  before.forEach((cell, i) => left.set(key(cell), [...left.get(key(cell)) ?? [], i]));
  const came = after.map((cell) => left.get(key(cell))?.shift());
  const stayed = common(before.map((_, i) => i), came).map(([, j]) => j);
  let gone = before.map((_, i) => i).filter((i) => !came.includes(i));
  const told: ReturnType<typeof change>[] = [];
  const remove = (upTo: number): void => {
    for (const i of gone) if (i < upTo) told.push(change('removed', before[i], undefined, i, null));
    gone = gone.filter((i) => i >= upTo);
  };
  after.forEach((cell, j) => {
    const i = came[j];
    if (i === undefined) return void told.push(change('added', undefined, cell, null, j));
    if (!stayed.includes(j)) return void told.push(change('moved', before[i], cell, i, j));
    remove(i);
    const one = change('changed', before[i], cell, i, j);
    if (one.source.length || one.type_changed || one.outputs_changed || one.metadata_changed) told.push(one);
  });
  remove(before.length);
  return told;
}

function key({ id, cell_type: type, source }: Cell): string {
  return JSON.stringify(id ?? [type, source]);
}

function change(what: string, old: Cell | undefined, now: Cell | undefined, from: number | null, to: number | null) {
  const shown = now ?? old;
  const both = old !== undefined && now !== undefined;
  return {
    change: what,
    cell_id: shown?.id ?? null,
    cell_type: shown?.cell_type,
    from_index: from,
    to_index: to,
    source: hunks(old?.source ?? '', now?.source ?? ''),
    type_changed: both && old.cell_type !== now.cell_type,
    outputs_changed: !isDeepStrictEqual(outputs(old), outputs(now)),
    metadata_changed: both && !isDeepStrictEqual(rest(old), rest(now)),
  };
}

function outputs(cell: Cell | undefined): object[] {
  return (cell?.outputs ?? []).map((output) => ({ ...output, execution_count: null }));
}

function rest(cell: Cell): object {
  const told = ['id', 'cell_type', 'source', 'outputs', 'execution_count'];
  return Object.fromEntries(Object.entries(cell).filter(([name]) => !told.includes(name)));
}

function hunks(before: string, after: string): object[] {
  const lines = marked(before ? before.split('\n') : [], after ? after.split('\n') : []);
  const near = lines.map((_, n) => lines.slice(Math.max(0, n - CONTEXT), n + CONTEXT + 1).some(({ op }) => op !== ' '));
  const groups: Line[][] = [];
  lines.forEach((line, n) => {
    if (near[n]) (near[n - 1] ? groups.at(-1) : groups[groups.push([]) - 1])?.push(line);
  });
  return groups.map((group) => ({
    from_line: (group[0]?.from ?? 0) + 1,
    to_line: (group[0]?.to ?? 0) + 1,
    lines: group.map(({ op, text }) => ({ op, text })),
  }));
}

function marked(old: string[], now: string[]): Line[] {
  const lines: Line[] = [];
  let [from, to] = [0, 0];
  for (const [i, j] of [...common(old, now), [old.length, now.length] as const]) {
    while (from < i) lines.push({ op: '-', text: old[from] ?? '', from: from++, to });
    while (to < j) lines.push({ op: '+', text: now[to] ?? '', from, to: to++ });
    if (i < old.length) lines.push({ op: ' ', text: old[from] ?? '', from: from++, to: to++ });
  }
  return lines;
}

/** The longest row of what both have in this order, as pairs of places. */
function common<T>(one: readonly T[], other: readonly (T | undefined)[]): (readonly [number, number])[] {
  const lengths = Array.from({ length: one.length + 1 }, () => new Array<number>(other.length + 1).fill(0));
  const length = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      (lengths[i] as number[])[j] = one[i] === other[j] ? length(i + 1, j + 1) + 1 : Math.max(length(i + 1, j), length(i, j + 1));
    }
  }
  const pairs: (readonly [number, number])[] = [];
  for (let [i, j] = [0, 0]; i < one.length && j < other.length;) {
    if (one[i] === other[j]) pairs.push([i++, j++]);
    else if (length(i + 1, j) >= length(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}
