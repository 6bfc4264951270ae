/**
 * Fills a value's defaults in from its JSON schema, and checks it on the way, by reading the schema instead of compiling it.
 *
 * It agrees with Ajv 8 (`useDefaults`, not strict), JupyterLab's validator, in all that it answers: where a value is not
 * as the schema says, or the schema says it in words that are not known here, it leaves the answer to that one.
 */
import type { JSONObject as Schema, JSONValue as Json } from '@lumino/coreutils';

/** Words that say nothing of the value. */
const NOTES = new Set([
  '$comment', '$schema', 'default', 'definitions', 'deprecated', 'description', 'examples', 'readOnly', 'title', 'uiSchema', 'version', 'writeOnly',
]);
const OF_JUPYTER = 'jupyter.lab.';

/** What is not answered here. */
class Unknown extends Error {}

/** Fill in `value`; give whether it is as `schema` says. Without an answer, `value` is not to be used. */
export function fillIn(schema: Schema, value: Json): boolean {
  return answered(() => new Reader(schema, true).isAsSaid(schema, value));
}

/** The same, and `value` stays as it is. */
export function isAsSaid(schema: Schema, value: Json): boolean {
  return answered(() => new Reader(schema, false).isAsSaid(schema, value));
}

function answered(ask: () => boolean): boolean {
  try {
    return ask();
  } catch (error) {
    if (error instanceof Unknown) return false;
    throw error;
  }
}

class Reader {
  /** How many defaults were filled in. */
  private filled = 0;

  constructor(private readonly root: Schema, private readonly fills: boolean) {}

  /** `within` an alternative Ajv fills nothing in. */
  isAsSaid(schema: Json | undefined, value: Json, within = false): boolean {
    if (schema === true) return true;
    if (!isObject(schema)) throw new Unknown();
    if (this.fills && !within && isObject(schema.properties) && isObject(value)) this.fill(schema.properties, value);
    return Object.entries(schema).every(([word, said]) => this.agrees(schema, word, said, value, within));
  }

  private fill(properties: Schema, value: Schema): void {
    for (const [name, property] of Object.entries(properties)) {
      const standard = isObject(property) ? property.default : undefined;
      if (standard === undefined || value[name] !== undefined) continue;
      value[name] = structuredClone(standard);
      this.filled += 1;
    }
  }

  private agrees(schema: Schema, word: string, said: Json, value: Json, within: boolean): boolean {
    if (NOTES.has(word) || word.startsWith(OF_JUPYTER)) return true;
    const each = (values: Json[], its: Json | undefined) => values.every((one) => this.isAsSaid(its, one, within));
    switch (word) {
      case 'type': return [said].flat().some((type) => isOf(type, value));
      case 'const': return isSame(said, value);
      case 'enum': return list(said).some((one) => isSame(one, value));
      case 'minimum': return typeof value !== 'number' || value >= number(said);
      case 'maximum': return typeof value !== 'number' || value <= number(said);
      case 'pattern': return typeof value !== 'string' || expression(said).test(value);
      case 'required': return !isObject(value) || list(said).every((name) => value[string(name)] !== undefined);
      case 'properties': return !isObject(value) || Object.entries(object(said)).every(([name, its]) => value[name] === undefined || this.isAsSaid(its, value[name], within));
      case 'patternProperties': return !isObject(value) || Object.entries(object(said)).every(([names, its]) => each(named(value, names), its));
      case 'additionalProperties': {
        const others = isObject(value) ? notNamed(value, schema) : [];
        return said === false ? others.length === 0 : each(others, said);
      }
      case 'items': return !Array.isArray(value) || each(value, said);
      case 'uniqueItems': return said === false || !Array.isArray(value) || new Set(value.map(plain)).size === value.length;
      case 'allOf': return list(said).every((its) => this.isAsSaid(its, value, within));
      case 'oneOf': return this.howMany(list(said), value) === 1;
      case '$ref': return this.isAsReferred(said, value, within);
      default: throw new Unknown();
    }
  }

  private howMany(alternatives: Json[], value: Json): number {
    return alternatives.filter((alternative) => {
      const before = this.filled;
      const agrees = this.isAsSaid(alternative, value, true);
      // How far Ajv came in the same alternative, and what it filled in until then, is not for us to know.
      if (!agrees && this.filled !== before) throw new Unknown();
      return agrees;
    }).length;
  }

  private isAsReferred(said: Json, value: Json, within: boolean): boolean {
    const name = /^#\/definitions\/([\w-]+)$/.exec(string(said))?.[1];
    const definition = object(this.root.definitions)[name ?? ''];
    // Ajv makes a function of its own of a definition that refers to others. That one knows nothing of alternatives.
    return this.isAsSaid(definition, value, within && !refers(definition));
  }
}

function refers(schema: Json | undefined): boolean {
  if (Array.isArray(schema)) return schema.some(refers);
  return isObject(schema) && Object.entries(schema).some(([word, said]) => word === '$ref' || refers(said));
}

function isOf(type: Json | undefined, value: Json): boolean {
  switch (type) {
    case 'null': return value === null;
    case 'array': return Array.isArray(value);
    case 'object': return isObject(value);
    case 'integer': return Number.isInteger(value);
    case 'boolean': case 'number': case 'string': return typeof value === type;
    default: throw new Unknown();
  }
}

function isSame(said: Json | undefined, value: Json): boolean {
  return plain(said) === value;
}

/** What `===` compares as Ajv does. */
function plain(value: Json | undefined): Json | undefined {
  if (typeof value === 'object' && value !== null) throw new Unknown();
  return value;
}

function named(value: Schema, pattern: string): Json[] {
  const names = expression(pattern);
  return Object.entries(value).filter(([name]) => names.test(name)).map(([, its]) => its);
}

function notNamed(value: Schema, { properties = {}, patternProperties = {} }: Schema): Json[] {
  const names = object(properties);
  const patterns = Object.keys(object(patternProperties)).map(expression);
  return Object.entries(value)
    .filter(([name]) => !Object.hasOwn(names, name) && !patterns.some((pattern) => pattern.test(name)))
    .map(([, its]) => its);
}

function expression(said: Json | undefined): RegExp {
  try {
    return new RegExp(string(said), 'u');
  } catch {
    throw new Unknown();
  }
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(said: Json | undefined): Schema {
  if (!isObject(said)) throw new Unknown();
  return said;
}

function list(said: Json | undefined): Json[] {
  if (!Array.isArray(said)) throw new Unknown();
  return said;
}

function number(said: Json | undefined): number {
  if (typeof said !== 'number') throw new Unknown();
  return said;
}

function string(said: Json | undefined): string {
  if (typeof said !== 'string') throw new Unknown();
  return said;
}
