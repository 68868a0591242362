import { type Changes, type Held, instancePath } from "../contents.ts";
import type { Sink } from "../mirror.ts";
import type { Layout } from "./layout.ts";

/** Takes another layout's entries, and passes on what they would be in ours. */
export function translating(layout: Layout, sink: Sink): Sink {
  const folders = new Map<string, Map<string, string>>();
  const shown = new Map<string, ReadonlyMap<string, string>>();

  const store = (path: string, held: Held | undefined): string | undefined => {
    const place = layout.split(path);
    if (place === undefined) return undefined;
    const folder = folders.get(place.service) ?? new Map<string, string>();
    if (held === undefined) folder.delete(place.rest);
    else folder.set(place.rest, held.text);
    if (folder.size === 0) folders.delete(place.service);
    else folders.set(place.service, folder);
    return place.service;
  };
  /** What became of one service, a changed listening port of all its instances included. */
  const changesOf = (service: string): [string, Held | undefined][] => {
    const before = shown.get(service) ?? new Map<string, string>();
    const after = layout.documents(folders.get(service) ?? new Map());
    if (after.size === 0) shown.delete(service);
    else shown.set(service, after);
    const gone = [...before.keys()].filter((id) => !after.has(id));
    const news = [...after].filter(([id, text]) => before.get(id) !== text);
    return [
      ...gone.map((id): [string, undefined] => [instancePath(service, id), undefined]),
      ...news.map(([id, text]): [string, Held] => [instancePath(service, id), { text }]),
    ];
  };
  const take = (changes: Iterable<readonly [string, Held | undefined]>): Changes => {
    const touched = new Set<string>();
    for (const [path, held] of changes) {
      const service = store(path, held);
      if (service !== undefined) touched.add(service);
    }
    return new Map([...touched].flatMap(changesOf));
  };

  return {
    reset(all) {
      folders.clear();
      shown.clear();
      const entries = [...take(all)].flatMap(([path, held]) => (held === undefined ? [] : [[path, held] as const]));
      sink.reset(new Map(entries));
    },
    apply(changes) {
      const translated = take(changes);
      if (translated.size > 0) sink.apply(translated);
    },
  };
}
