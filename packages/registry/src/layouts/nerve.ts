import { idFrom, type Layout } from "./layout.ts";

// Its paths are free; these are those of its documentation, with and without the last folder.
const PATH = /^([^/]+)\/(?:services\/)?([^/]+\/\d+)$/;

/** Airbnb's nerve: `<path>/<instance_id>/<a number in order>` = its JSON, which is ours as well. */
export const nerve: Layout = {
  split(path) {
    const [, service, rest] = PATH.exec(path) ?? [];
    return service === undefined || rest === undefined ? undefined : { service, rest };
  },
  documents: (folder) => new Map([...folder].map(([name, text]) => [idFrom(name.replace("/", "_")), text])),
};
