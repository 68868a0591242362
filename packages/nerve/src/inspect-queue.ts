/** How many inspects run at once: enough for a burst of starts, few enough to leave the engine to its work. */
const CONCURRENT_MAX = 4;

export interface InspectQueue {
  /** Asks for an inspect that begins after now. */
  request(id: string): void;
  /** Takes a request back that still waits. */
  cancel(id: string): void;
  /** Forgets what waits; what runs ends by itself and is not reported. */
  clear(): void;
}

/**
 * Level-triggered, one slot a container: however many events come for it, at most one inspect runs and one waits. An
 * inspect that fails is reported to `failed`, and asked for again by whoever cares.
 */
export function inspectQueue(
  inspect: (id: string) => Promise<void>,
  failed: (id: string, error: unknown) => void,
): InspectQueue {
  let waiting = new Set<string>();
  const running = new Set<string>();

  const pump = (): void => {
    for (const id of waiting) {
      if (running.size >= CONCURRENT_MAX) return;
      if (running.has(id)) continue;
      waiting.delete(id);
      running.add(id);
      void run(id);
    }
  };
  const run = async (id: string): Promise<void> => {
    try {
      await inspect(id);
    } catch (error) {
      failed(id, error);
    } finally {
      running.delete(id);
      pump();
    }
  };
  return {
    request(id) {
      waiting.add(id);
      pump();
    },
    cancel: (id) => void waiting.delete(id),
    clear() {
      waiting = new Set();
    },
  };
}
