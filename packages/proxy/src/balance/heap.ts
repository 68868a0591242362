/** A binary heap: the first item on top, in O(log n), without allocating beyond its highest size. */
export interface Heap<T> {
  top(): T | undefined;
  pop(): T | undefined;
  push(item: T): void;
  /** Brings the item at this place, whose rank changed, to where it belongs. */
  moved(at: number): void;
  clear(): void;
}

/** `before` is a strict order; `placed` is told where each item comes to lie. */
export function createHeap<T>(
  before: (a: T, b: T) => boolean,
  placed: (item: T, at: number) => void = () => undefined,
): Heap<T> {
  const items: T[] = [];
  let size = 0;

  function set(item: T, at: number): void {
    items[at] = item;
    placed(item, at);
  }

  function up(item: T, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as T;
      if (!before(item, above)) break;
      set(above, at);
      at = parent;
    }
    set(item, at);
  }

  function down(item: T, from: number): void {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && before(items[child + 1] as T, items[child] as T)) child++;
      const below = items[child] as T;
      if (!before(below, item)) break;
      set(below, at);
      at = child;
    }
    set(item, at);
  }

  return {
    top: () => (size === 0 ? undefined : items[0]),
    pop() {
      if (size === 0) return undefined;
      const first = items[0] as T;
      size--;
      if (size > 0) down(items[size] as T, 0);
      return first;
    },
    push(item) {
      size++;
      up(item, size - 1);
    },
    moved(at) {
      const item = items[at] as T;
      if (at > 0 && before(item, items[(at - 1) >> 1] as T)) up(item, at);
      else down(item, at);
    },
    clear() {
      // Whoever left must not be kept alive by it.
      items.length = 0;
      size = 0;
    },
  };
}
