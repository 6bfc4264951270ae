/** Events by name, and each once more as `event`; a listener that throws harms neither us nor the next listener. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events | 'event', Set<(detail: never) => void>>();

  on<E extends keyof Events>(event: E, listener: (detail: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  emit<E extends keyof Events>(event: E, detail: Events[E]): void {
    this.#send(event, detail);
    this.#send('event', { event, detail });
  }

  forget(): void {
    this.#listeners.clear();
  }

  #send(name: keyof Events | 'event', detail: unknown): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (detail: unknown) => void)(detail);
      } catch (error) {
        // Where the host finds the errors of its own code: its console and its error reporting.
        reportError(error);
      }
    }
  }
}
