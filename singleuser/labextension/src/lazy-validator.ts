/** Composes settings of which the user has none by reading their schemas; all others are JupyterLab's validator's. */
import { DefaultSchemaValidator, type ISchemaValidator, type Plugin } from '@jupyterlab/settingregistry';
import type { JSONObject as Schema, JSONValue as Json } from '@lumino/coreutils';
import { fillIn, isAsSaid } from './defaults.js';

/** What the server tells of settings that the user has not touched. */
const UNTOUCHED = '{}';

/** A plugin's schema as it was when it was first seen, by which JupyterLab's validator goes whatever comes later. */
interface Known {
  readonly schema: Schema;
  readonly defaults: Json;
}

/**
 * JupyterLab's validator compiles two functions for each plugin's schema, most of them to find that `{}` is as the
 * schema wants it. Here that is compiled which has something to be checked, when it has.
 */
export class LazyValidator implements ISchemaValidator {
  private compiling: DefaultSchemaValidator | undefined;
  private readonly known = new Map<string, Known | undefined>();

  /** `ofSchemas` is what all schemas have to be like. */
  constructor(private readonly ofSchemas: Schema) {}

  validateData(plugin: Plugin, populate = true): readonly object[] | null {
    const known = this.knownOf(plugin);
    if (!known) return this.compiled().validateData(plugin, populate);
    if (plugin.raw === UNTOUCHED) {
      if (populate) plugin.data = { composite: structuredClone(known.defaults), user: {} };
      return null;
    }
    const asked = { ...plugin, schema: known.schema };
    const wrong = this.compiled().validateData(asked, populate);
    plugin.data = asked.data;
    return wrong;
  }

  private compiled(): DefaultSchemaValidator {
    return this.compiling ??= new DefaultSchemaValidator();
  }

  private knownOf({ id, schema }: Plugin): Known | undefined {
    if (!this.known.has(id)) this.known.set(id, this.read(schema));
    return this.known.get(id);
  }

  private read(schema: Schema): Known | undefined {
    const defaults = {};
    // In JupyterLab's order: the schema, what the user has set, and that with the defaults.
    const composed = schema.type === 'object' && isAsSaid(this.ofSchemas, schema) && isAsSaid(schema, {}) && fillIn(schema, defaults);
    return composed ? { schema, defaults } : undefined;
  }
}
