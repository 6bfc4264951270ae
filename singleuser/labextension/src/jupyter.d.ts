/**
 * The few members of JupyterLab's modules that are used here, so that checking and building need
 * none of its packages. They agree with JupyterLab 4.6; the modules themselves come from the page.
 */

interface Signal<Sender, Args> {
  connect(slot: (sender: Sender, args: Args) => void): boolean;
  disconnect(slot: (sender: Sender, args: Args) => void): boolean;
}

declare module '@jupyterlab/application' {
  import type { CommandRegistry } from '@lumino/commands';
  import type { Widget } from '@lumino/widgets';
  import type { DocumentRegistry } from '@jupyterlab/docregistry';
  import type { ServiceManager } from '@jupyterlab/services';

  export interface JupyterFrontEnd {
    readonly commands: CommandRegistry;
    readonly shell: Widget;
    readonly docRegistry: DocumentRegistry;
    readonly serviceManager: ServiceManager.IManager;
    readonly restored: Promise<unknown>;
    hasPlugin(id: string): boolean;
  }

  export interface JupyterFrontEndPlugin<T> {
    id: string;
    description?: string;
    autoStart?: boolean;
    requires?: unknown[];
    optional?: unknown[];
    provides?: unknown;
    activate: (app: JupyterFrontEnd, ...services: never[]) => T;
  }
}

declare module '@lumino/coreutils' {
  export type JSONValue = boolean | number | string | null | JSONValue[] | JSONObject;
  export interface JSONObject {
    [name: string]: JSONValue;
  }
}

declare module '@lumino/widgets' {
  export interface Widget {
    readonly node: HTMLElement;
    readonly layout: Iterable<Widget> | null;
    readonly isHidden: boolean;
    setHidden(hidden: boolean): void;
  }
}

declare module '@lumino/commands' {
  export namespace CommandRegistry {
    interface ICommandExecutedArgs {
      readonly id: string;
      readonly result: Promise<unknown>;
    }
  }
  export class CommandRegistry {
    execute(id: string, args?: object): Promise<unknown>;
    readonly commandExecuted: Signal<this, CommandRegistry.ICommandExecutedArgs>;
    isEnabled(id: string, args?: object): boolean;
    isVisible(id: string, args?: object): boolean;
    notifyCommandChanged(): void;
  }
}

declare module '@jupyterlab/services' {
  import type { Plugin } from '@jupyterlab/settingregistry';

  export namespace ServiceManager {
    interface IManager {
      readonly events: { readonly stream: Signal<unknown, { readonly schema_id: string; readonly [field: string]: unknown }> };
      readonly serverSettings: ServerConnection.ISettings;
      readonly settings: Setting.IManager;
      /** JupyterLab's dialog about a lost connection listens to this. */
      readonly connectionFailure: { emit: (error: unknown) => void };
    }
  }
  export namespace Setting {
    interface IManager {
      fetch(id: string): Promise<Plugin>;
      list(query?: 'ids'): Promise<{ ids: string[]; values: Plugin[] }>;
      save(id: string, raw: string): Promise<unknown>;
    }
  }
  export namespace Kernel {
    interface IKernelConnection {
      /** Settles when the kernel has answered for the first time. */
      readonly info: Promise<unknown>;
      readonly connectionStatus: 'connected' | 'connecting' | 'disconnected';
      reconnect(): Promise<void>;
      interrupt(): Promise<void>;
      restart(): Promise<void>;
    }
  }
  export namespace ServerConnection {
    interface ISettings {
      readonly baseUrl: string;
    }
    function makeRequest(url: string, init: RequestInit, settings: ISettings): Promise<Response>;
  }
}

declare module '@jupyterlab/coreutils' {
  export namespace PageConfig {
    function getOption(name: string): string;
    function getBaseUrl(): string;
    namespace Extension {
      function isDisabled(id: string): boolean;
    }
  }
}

declare module '@jupyterlab/statedb' {
  export abstract class DataConnector<T> {
    abstract fetch(id: string): Promise<T>;
    abstract list(query?: 'active' | 'all' | 'ids'): Promise<{ ids: string[]; values: T[] }>;
    abstract save(id: string, raw: string): Promise<void>;
  }
}

declare module '@lumino/polling' {
  export class Throttler<T> {
    constructor(ask: () => Promise<T>, limit: number);
    invoke(): Promise<T>;
  }
}

declare module '@jupyterlab/settingregistry' {
  import type { JSONObject, JSONValue } from '@lumino/coreutils';
  import type { DataConnector } from '@jupyterlab/statedb';

  export interface Plugin {
    readonly id: string;
    /** JSON, with comments, of what the user has set. */
    readonly raw: string;
    readonly schema: JSONObject;
    data: { composite: JSONValue; user: JSONValue };
  }
  export interface ISchemaValidator {
    /** Gives what is wrong, or null. */
    validateData(plugin: Plugin, populate?: boolean): readonly object[] | null;
  }
  export type ISettingConnector = DataConnector<Plugin>;
  export const ISettingConnector: unknown;
  export interface ISettingRegistry {
    readonly plugins: Readonly<Record<string, Plugin>>;
    /** What each plugin's schema has to be like. */
    readonly schema: JSONObject;
    load(id: string): Promise<unknown>;
  }
  export const ISettingRegistry: unknown;
  export class SettingRegistry implements ISettingRegistry {
    constructor(options: { connector: ISettingConnector; validator: ISchemaValidator; plugins?: readonly Plugin[] });
    readonly plugins: Readonly<Record<string, Plugin>>;
    readonly schema: JSONObject;
    load(id: string): Promise<unknown>;
  }
  export class DefaultSchemaValidator implements ISchemaValidator {
    validateData(plugin: Plugin, populate?: boolean): readonly object[] | null;
  }
}

declare module '@jupyterlab/mainmenu' {
  interface Menu {
    readonly title: { className: string };
  }
  export interface IMainMenu {
    readonly fileMenu: { readonly newMenu: Menu };
    readonly runMenu: Menu;
    readonly kernelMenu: Menu;
  }
  export const IMainMenu: unknown;
}

declare module '@jupyterlab/docregistry' {
  import type { Kernel } from '@jupyterlab/services';

  export class DocumentRegistry {
    getKernelPreference(path: string, factory: string, kernel?: object): object | undefined;
  }
  export namespace DocumentRegistry {
    type SaveState = 'started' | 'failed' | 'completed';
    interface IModel {
      dirty: boolean;
      toJSON(): unknown;
      readonly contentChanged: Signal<this, void>;
      readonly stateChanged: Signal<this, { name: string }>;
    }
    interface IContext<T extends IModel> {
      readonly model: T;
      readonly path: string;
      readonly ready: Promise<void>;
      readonly saveState: Signal<this, SaveState>;
      readonly sessionContext: { readonly session: { readonly kernel: Kernel.IKernelConnection | null } | null };
      readonly isDisposed: boolean;
      readonly disposed: Signal<this, void>;
      save(): Promise<void>;
      revert(): Promise<void>;
      rename(name: string): Promise<void>;
    }
  }
}

declare module '@jupyterlab/notebook' {
  import type { DocumentRegistry } from '@jupyterlab/docregistry';
  import type { Kernel } from '@jupyterlab/services';

  export interface Cell {
    readonly node: HTMLElement;
    readonly dataset: DOMStringMap;
    /** Whether it has not been made yet: Jupyter makes cells one by one, when it has nothing else to do. */
    isPlaceholder(): boolean;
    readOnly: boolean;
    /** Whether `readOnly` is written into the notebook's metadata. */
    syncEditable: boolean;
  }
  interface SharedCell {
    readonly id: string;
    getMetadata(key: string): unknown;
    setSource(source: string): void;
  }
  interface NotebookModel {
    readonly cells: { readonly changed: Signal<unknown, unknown> };
    readonly sharedModel: {
      readonly cells: readonly SharedCell[];
      insertCell(index: number, cell: { cell_type: string; source: string; metadata: object }): SharedCell;
    };
  }
  export interface NotebookPanel {
    readonly node: HTMLElement;
    readonly context: DocumentRegistry.IContext<DocumentRegistry.IModel & { readonly cells: { readonly changed: Signal<unknown, unknown> } }>;
    readonly content: Notebook;
    readonly sessionContext: SessionContext;
    /** Settles when the notebook can be seen. */
    readonly revealed: Promise<void>;
  }
  export interface Notebook {
    readonly node: HTMLElement;
    readonly model: NotebookModel | null;
    readonly widgets: readonly Cell[];
    readonly layout: { insertWidget(index: number, cell: Cell): void };
    /** With `full`, cells outside of the window are not in the page. */
    readonly notebookConfig: { readonly windowingMode: string };
    readonly activeCellChanged: Signal<unknown, unknown>;
    readonly selectionChanged: Signal<unknown, unknown>;
    isSelectedOrActive(cell: Cell): boolean;
    activeCellIndex: number;
    scrollToItem(index: number, align?: 'auto' | 'start', margin?: number): Promise<void>;
  }
  export interface SessionContext {
    readonly ready: Promise<void>;
    readonly session: { readonly kernel: Kernel.IKernelConnection | null } | null;
    readonly statusChanged: Signal<unknown, string>;
  }
  export namespace NotebookActions {
    interface Execution {
      readonly notebook: Notebook;
      readonly cell: Cell;
    }
    const executionScheduled: Signal<unknown, Execution>;
    const executed: Signal<unknown, Execution & { readonly success: boolean }>;
    function runAll(notebook: Notebook, sessionContext: SessionContext): Promise<boolean>;
  }
  export interface INotebookTracker {
    readonly widgetAdded: Signal<this, NotebookPanel>;
    forEach(each: (panel: NotebookPanel) => void): void;
    find(test: (panel: NotebookPanel) => boolean): NotebookPanel | undefined;
  }
  export const INotebookTracker: unknown;
}
